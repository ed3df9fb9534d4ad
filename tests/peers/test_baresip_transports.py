"""Two soft phones that nobody here wrote call each other through the recorder: over UDP, TCP, and TLS with SRTP."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audio.codecs import ALAW_TO_LINEAR
from benchmarks.ports import free_port, wait_until_bound
from tests.helpers.certificates import Authority
from tests.helpers.recorder_home import HANGS_S, NOTICE_HZ, NOTICE_S, eventually, recorder_home, tone_file
from tests.peers.test_baresip_call import (
    CONFIG,
    MIRROR,
    MODULES,
    OFFICER_HZ,
    PHONE_HZ,
    heard_by,
    pass_time,
    running,
    seconds_of,
)
from tests.peers.test_sipp_streams import HOST

pytestmark = [pytest.mark.peer, pytest.mark.slow]
NUMBER = "01632960999"
TALK_S = 2.0


@dataclass
class SoftPhone:
    """A baresip with a sine for a voice."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def heard(self, hz: float) -> float:
        """Return for how many seconds it heard a tone."""
        return seconds_of(heard_by(self.folder), hz)


@contextmanager
def soft_phone(folder: Path, user: str, kind: str, hz: float, papers: Authority, dial: str = "") -> Iterator[SoftPhone]:
    """A phone that answers at once, or dials."""
    folder.mkdir()
    port = free_port()  # baresip takes the next one for TLS
    said = tone_file(folder / "said.wav", hz, 30)
    certificate, key = papers.issue(f"phone-{user}", ips=[HOST])
    (folder / "both.pem").write_bytes(Path(certificate).read_bytes() + Path(key).read_bytes())
    account = f"<sip:{user}@{HOST}:{port};transport={kind}>;regint=0;audio_codecs=PCMA;answermode=auto"
    (folder / "accounts").write_text(account + (";mediaenc=srtp-mand\n" if kind == "tls" else "\n"))
    config = CONFIG.format(modules=MODULES, sip=port, said=said, folder=folder).lstrip()
    config = config.replace("0.0.0.0", HOST)
    config += f"sip_certificate {folder / 'both.pem'}\nsip_cafile {papers.ca}\nsip_verify_server yes\n"
    (folder / "config").write_text(config)
    with running(folder, *(["-e", f"/dial {dial}"] if dial else [])) as process:
        yield SoftPhone(folder, port + (kind == "tls"), process)


# baresip over UDP is what the other tests with telephones have.
@pytest.mark.parametrize("kind", [pytest.param("udp", marks=pytest.mark.long), "tcp", "tls"])
def test_baresip_calls_baresip(tmp_path: Path, kind: str) -> None:
    papers = Authority(tmp_path / "papers")
    certificate, key = papers.issue("recorder", ips=[HOST])
    ports = {"tcp": free_port(), "tls": free_port()}
    edits = [(f'listen_{name} = "off" ', f'listen_{name} = "{HOST}:{port}" ') for name, port in ports.items()]
    edits += [
        ('tls_certificate = "off"', f'tls_certificate = "{certificate}"'),
        ('tls_key = "off"', f'tls_key = "{key}"'),
        ('tls_ca = "off"', f'tls_ca = "{papers.ca}"'),
        ('targets = ["', f'targets = ["{kind}:'),
        MIRROR,
    ]
    with soft_phone(tmp_path / "officer", "2001", kind, OFFICER_HZ, papers) as officer:
        if kind != "udp":
            wait_until_bound(officer.port, "tcp")
        with recorder_home(tmp_path / "home", next_hop=f"{HOST}:{officer.port}", edits=edits) as home:
            to = ports.get(kind, home.sip[1])
            dial = f"sip:2001@{HOST}:{to};transport={kind}"
            with soft_phone(tmp_path / "caller", NUMBER, kind, PHONE_HZ, papers, dial) as caller:
                eventually(lambda: any(call["phase"] == "joined" for call in home.calls()), "joined")
                carriage = home.health()["carriage"]
                pass_time(TALK_S)
                caller.process.terminate()  # it sends its BYE
                caller.process.wait(HANGS_S)
            row = home.row_of(NUMBER)
            assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
            assert carriage["connections"] == (0 if kind == "udp" else 2)
            left, right, _ = home.copy(row["id"])
    for channel, own, other in ((left, PHONE_HZ, OFFICER_HZ), (right, OFFICER_HZ, PHONE_HZ)):
        samples = ALAW_TO_LINEAR[np.frombuffer(channel, np.uint8)].astype(float)
        assert seconds_of(samples, own) > TALK_S - 0.5
        assert seconds_of(samples, other) == 0
    assert caller.heard(NOTICE_HZ) >= NOTICE_S - 0.15
    assert caller.heard(OFFICER_HZ) > TALK_S - 1
    assert officer.heard(PHONE_HZ) > TALK_S - 1
