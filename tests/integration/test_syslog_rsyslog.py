"""The audit log goes to a real rsyslog over TLS: stopped and started in between, nothing is lost or out of order."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from recorder.common.clock import utc_now
from recorder.config.syslog_options import SyslogOptions
from recorder.forwarding.audit_follower import PositionFile
from recorder.forwarding.syslog_forwarding import SyslogForwarding
from recorder.forwarding.syslog_server import SyslogError, send
from storage.audit import AuditLog
from tests.helpers.anchor_servers import Certificates
from tests.helpers.recorder_home import eventually
from tests.helpers.rsyslog import Rsyslog

MESSAGE = b'<109>1 2026-11-25T03:47:39Z rec1 recorder - call.pause [entry@32473 n="1"] test'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Rsyslog]:
    with Rsyslog(tmp_path / "rsyslog") as made:
        yield made


def test_a_server_that_goes_away_and_comes_back_gets_every_entry_in_order(tmp_path: Path, server: Rsyslog) -> None:
    sending = SyslogForwarding(
        AuditLog(tmp_path / "audit"), SyslogOptions(server=server.url, ca=str(server.ca)),
        PositionFile(tmp_path / "state" / "syslog.json"), host="rec1", now=utc_now,
    )  # fmt: skip
    stopping, is_down = threading.Event(), threading.Event()
    thread = threading.Thread(target=sending.keep, args=(stopping,))
    thread.start()

    def write(actor: str) -> None:
        log = AuditLog(tmp_path / "audit")  # as daemon and console: one log, each with its own writer
        for count in range(60):
            log.append("call.pause", actor, "")
            if count == 30:
                is_down.wait(60)

    writers = [threading.Thread(target=write, args=(actor,)) for actor in ("daemon", "console")]
    try:
        for writer in writers:
            writer.start()
        eventually(lambda: len(server.numbers()) > 10, "the first entries")
        server.stop()
        is_down.set()
        eventually(lambda: sending.state.problem, "the failure")
        assert sending.state.waiting > 0
        for writer in writers:
            writer.join()
        server.start()
        eventually(lambda: 120 in server.numbers(), "the last entry")
    finally:
        stopping.set()
        thread.join(30)
    numbers = server.numbers()
    first_seen = list(dict.fromkeys(numbers))
    assert first_seen == list(range(1, 121))
    assert sending.state.sent == 120
    assert not sending.state.problem


def test_the_certificate_of_the_server_is_checked(tmp_path: Path, server: Rsyslog) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    with pytest.raises(SyslogError, match="its certificate is not valid"):
        send(SyslogOptions(server=server.url, ca=str(stranger)), [MESSAGE])
    with pytest.raises(SyslogError, match="its certificate is not valid: Hostname mismatch"):
        send(SyslogOptions(server=f"tls://localhost:{server.port}", ca=str(server.ca)), [MESSAGE])
    assert server.lines() == []


def test_a_server_that_wants_our_certificate_gets_it(tmp_path: Path) -> None:
    with Rsyslog(tmp_path / "strict", takes_anybody=False) as server:
        with pytest.raises(SyslogError, match=r"syslog tls://127\.0\.0\.1"):
            send(SyslogOptions(server=server.url, ca=str(server.ca)), [MESSAGE])
        certificate, key = server.client
        options = SyslogOptions(server=server.url, ca=str(server.ca), certificate=certificate, key=key)
        send(options, [MESSAGE])
        eventually(lambda: server.numbers() == [1], "the message")
        Path(key).chmod(0o640)
        with pytest.raises(SyslogError, match="its mode must be 0600"):
            send(options, [MESSAGE])


def test_a_server_that_hangs_or_has_no_name_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = SyslogOptions(server=f"tls://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SyslogError, match=r"no answer within 0\.3 s"):
            send(options, [MESSAGE], timeout_s=0.3)
    with pytest.raises(SyslogError, match=r"syslog tls://siem\.invalid:6514: "):
        send(SyslogOptions(server="tls://siem.invalid:6514"), [MESSAGE])


@pytest.mark.parametrize("says_goodbye", [False, True])
def test_a_server_that_ends_before_it_has_read_is_no_receiver(tmp_path: Path, *, says_goodbye: bool) -> None:
    certificates, ended = Certificates(tmp_path), threading.Event()

    def messages() -> Iterator[bytes]:
        assert ended.wait(30)
        yield MESSAGE

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            plain, _ = listener.accept()
            connection = certificates.context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)
            if says_goodbye:
                connection.settimeout(0.2)
                with contextlib.suppress(OSError):  # our close of TLS goes out; there is no answer
                    connection.unwrap()
            connection.close()
            ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        options = SyslogOptions(server=f"tls://127.0.0.1:{listener.getsockname()[1]}", ca=str(certificates.ca))
        with pytest.raises(SyslogError, match=r"127\.0\.0\.1"):
            send(options, messages())
        thread.join()
