"""A recorder with TLS: a target whose certificate has turned bad is passed over in time, and its own is renewed."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.helpers.certificates import Authority
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import HANGS_S
from tests.helpers.sip_peer import State
from tests.helpers.sip_streams import StreamPeer, tls_context
from tests.helpers.starvation import stopwatch
from tests.peers.test_sipp_streams import HOST

NAME = "pbx.example"


@contextmanager
def recorder(folder: Path, papers: Authority, target: int) -> Iterator[Exchange]:
    """A recorder whose first target is over TLS, with a scripted officer over UDP as the second one."""
    certificate, key = papers.issue("recorder", ips=[HOST])
    edits = [
        ('listen_tls = "off" ', f'listen_tls = "{HOST}:{free_port()}" '),
        ('tls_certificate = "off"', f'tls_certificate = "{certificate}"'),
        ('tls_key = "off"', f'tls_key = "{key}"'),
        ('tls_ca = "off"', f'tls_ca = "{papers.ca}"'),
        ("tls_names = []", f'tls_names = ["{NAME}"]'),
        ('targets = ["', f'targets = ["tls:{HOST}:{target}", "'),
        ("watch_every_s = 10.0 ", "watch_every_s = 3600.0 "),
    ]
    with exchange(folder, edits=edits) as made:
        yield made


def test_a_target_with_a_bad_certificate_is_passed_over_within_two_seconds(tmp_path: Path) -> None:
    papers, strangers = Authority(tmp_path / "papers"), Authority(tmp_path / "strangers")
    good = tls_context(papers.issue("pbx", dns=[NAME]), papers.ca, is_server=True)
    bad = tls_context(strangers.issue("pbx", dns=[NAME]), papers.ca, is_server=True)
    with StreamPeer((HOST, 1), accepting=good) as pbx:

        def answer_once() -> None:
            pbx.respond(pbx.expect("OPTIONS"), 200)

        watched = threading.Thread(target=answer_once)
        watched.start()
        with recorder(tmp_path / "recorder", papers, pbx.port) as lines:
            watched.join(HANGS_S)
            assert not watched.is_alive()
            pbx.drop()
            pbx.accepting = bad
            talk = lines.call()
            with pytest.raises((OSError, AssertionError)):
                pbx.expect("INVITE")  # TLS fails, and no SIP is said
            took_s = stopwatch(os.getpid(), lines.home.pid)
            second = talk.wait_second()
            second.wait_for(lambda call: call.state is State.CONFIRMED)
            assert took_s() < 2.0
            talk.begin()
            talk.hang_up()
            assert f"tls:{HOST}:{pbx.port} cannot be reached: certificate refused" in lines.home.said
            assert lines.home.health()["signalling"]["unreachable"] >= 1


def test_a_renewed_certificate_is_read_by_reload_and_a_missing_one_explained(tmp_path: Path) -> None:
    papers = Authority(tmp_path / "papers")
    with recorder(tmp_path / "recorder", papers, free_port()) as lines:
        home = lines.home
        before = home.health()["carriage"]
        assert [address.split(":")[0] for address in before["listening"]] == [HOST, "tls"]
        papers.issue("recorder", ips=[HOST], days=10)
        home.recorder("reload", "-C", str(home.root))
        health = home.health()
        assert health["carriage"]["certificate_expires_at"] < before["certificate_expires_at"]
        assert health["alarms"]["tls_certificate_ends"] == 1
        certificate = tmp_path / "papers" / "recorder.pem"
        certificate.write_text("no certificate")
        refused = home.run("reload", "-C", str(home.root))
        assert (refused.returncode, "recorder.pem holds no certificate" in refused.stderr) == (1, True)
        assert home.health()["carriage"] == health["carriage"]

        home.stop()
        papers.issue("recorder", ips=[HOST])
        (tmp_path / "papers" / "recorder.key").unlink()
        done = home.run_apart("run", "-C", str(home.root))
        assert done.returncode == 2
        assert "cannot start SIP over TLS" in done.stderr
        assert "recorder.key: No such file" in done.stderr
        found = home.run("site-check", "-C", str(home.root))
        assert found.returncode == 1
        assert "error: TLS certificate: the recorder does not start" in found.stderr
