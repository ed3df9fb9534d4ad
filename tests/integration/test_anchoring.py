"""Heads of the audit log told to real servers; what failed is an alarm and told again; each target for itself."""

import email
import stat
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from recorder.audit.anchor_targets import AnchorError, Folder, Target, targets_of
from recorder.audit.anchoring import ALARM, RETRY_S, Anchoring
from recorder.common.smtp_options import SmtpSecurity
from recorder.common.syslog_format import AUDIT, NOTICE
from recorder.config.anchor_options import AnchorOptions
from storage.anchors import Anchor, Anchors
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.heads import Head, heads_in, read_heads
from tests.helpers.anchor_servers import Certificates, mail_server, tcp_syslog, udp_syslog
from tests.helpers.recorder_home import eventually

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
HEAD = Head(number=17, hash="ab" * 32, at=AT, node="0123456789abcdef")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def only(options: AnchorOptions) -> Target:
    (target,) = targets_of(options, site="Test Council")
    return target


# --- syslog


def test_syslog_by_udp_is_rfc_5424() -> None:
    with udp_syslog() as server:
        only(AnchorOptions(syslog=f"udp://127.0.0.1:{server.port}")).send(HEAD, timeout_s=5)
        message = server.next()
    assert (message.priority, message.time, message.program, message.id) == (
        AUDIT * 8 + NOTICE, "2026-11-25T09:30:00Z", "recorder", "audit-head",
    )  # fmt: skip
    assert list(heads_in(message.text)) == [HEAD]


def test_syslog_by_tcp_is_counted_in_octets() -> None:
    with tcp_syslog() as server:
        target = only(AnchorOptions(syslog=f"tcp://127.0.0.1:{server.port}"))
        for number in (1, 2):
            target.send(replace(HEAD, number=number), timeout_s=5)
        assert [head.number for _ in range(2) for head in heads_in(server.next().text)] == [1, 2]


def test_syslog_by_tls_takes_a_certificate_that_is_good(certificates: Certificates) -> None:
    with tcp_syslog(certificates.context) as server:
        url = f"tls://127.0.0.1:{server.port}"
        only(AnchorOptions(syslog=url, syslog_ca=str(certificates.ca))).send(HEAD, timeout_s=5)
        assert list(heads_in(server.next().text)) == [HEAD]
        with pytest.raises(AnchorError, match="its certificate is not valid"):
            only(AnchorOptions(syslog=url)).send(HEAD, timeout_s=5)
        assert server.heard.empty()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_syslog_server_that_is_not_there_is_said(transport: str) -> None:
    port = free_port()
    with pytest.raises(AnchorError, match=f"syslog {transport}://127.0.0.1:{port}: Connection refused"):
        only(AnchorOptions(syslog=f"{transport}://127.0.0.1:{port}")).send(HEAD, timeout_s=5)


# --- mail


def mail_options(port: int, **more: object) -> AnchorOptions:
    fields = {"mail_to": ("dpo@example.org",), "mail_from": "recorder@example.org", "smtp": f"127.0.0.1:{port}"}
    return AnchorOptions(**{**fields, **more})  # type: ignore[arg-type]


def test_mail_goes_by_starttls_with_a_password_out_of_a_file(certificates: Certificates, tmp_path: Path) -> None:
    secret = tmp_path / "smtp"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    account = {"smtp_user": "recorder", "smtp_password_file": str(secret), "smtp_ca": str(certificates.ca)}
    with mail_server(certificates.context, password="correct horse") as mailbox:
        target = only(mail_options(mailbox.port, mail_to=("dpo@example.org", "two@example.org"), **account))
        target.send(HEAD, timeout_s=5)
        (recipients, content) = mailbox.mails[0]
        assert recipients == ["dpo@example.org", "two@example.org"]
        mail = email.message_from_string(content)
        assert mail["Subject"] == "Audit log of Test Council: head 17"
        assert list(heads_in(content)) == [HEAD]

        secret.write_text("wrong")
        with pytest.raises(AnchorError, match="535"):
            target.send(HEAD, timeout_s=5)
        secret.chmod(0o644)
        with pytest.raises(AnchorError, match="its mode must be 0600"):
            target.send(HEAD, timeout_s=5)
        assert len(mailbox.mails) == 1


def test_a_mailbox_that_is_refused_fails_the_anchor(certificates: Certificates) -> None:
    with mail_server(certificates.context) as mailbox:
        mailbox.refused.add("two@example.org")
        both = ("dpo@example.org", "two@example.org")
        target = only(mail_options(mailbox.port, mail_to=both, smtp_ca=str(certificates.ca)))
        with pytest.raises(AnchorError, match=r"two@example\.org refused"):
            target.send(HEAD, timeout_s=5)
        with pytest.raises(AnchorError, match="its certificate is not valid"):
            only(mail_options(mailbox.port)).send(HEAD, timeout_s=5)


def test_mail_is_never_sent_in_the_clear_unless_asked(certificates: Certificates) -> None:
    with mail_server(None) as mailbox:
        with pytest.raises(AnchorError, match="STARTTLS"):
            only(mail_options(mailbox.port, smtp_ca=str(certificates.ca))).send(HEAD, timeout_s=5)
        assert mailbox.mails == []
        only(mail_options(mailbox.port, smtp_security=SmtpSecurity.NONE)).send(HEAD, timeout_s=5)
        assert len(mailbox.mails) == 1


# --- folder


def test_a_folder_gets_a_file_a_head_that_is_never_replaced(tmp_path: Path) -> None:
    target = only(AnchorOptions(folder=str(tmp_path)))
    target.send(HEAD, timeout_s=5)
    target.send(replace(HEAD, at=AT + timedelta(hours=1)), timeout_s=5)
    with pytest.raises(AnchorError, match="File exists"):
        target.send(HEAD, timeout_s=5)
    files = sorted(tmp_path.iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o444, 0o444]
    assert [head.at for head in read_heads(tmp_path)] == [AT, AT + timedelta(hours=1)]


def test_a_share_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(AnchorError, match="is the share mounted"):
        Folder(path=tmp_path / "share").send(HEAD, timeout_s=5)
    assert not (tmp_path / "share").exists()


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (AnchorOptions(syslog="127.0.0.1:514"), "syslog"),
        (AnchorOptions(syslog="http://box:514"), "syslog"),
        (AnchorOptions(syslog="udp://box:70000"), "syslog"),
        (AnchorOptions(syslog="udp://:514"), "syslog"),
        (AnchorOptions(folder="anchors"), "folder"),
        (AnchorOptions(mail_to=("a@b",)), "mail_to"),
        (mail_options(25, mail_to=("a@b\nBcc: c@d",)), "mail_to"),
        (mail_options(25, mail_from="nobody"), "mail_from"),
        (mail_options(25, smtp="mx:0"), "smtp"),
        (mail_options(25, smtp="mx/x"), "smtp"),
        (mail_options(25, smtp_user="a"), "smtp_user"),
        (mail_options(25, smtp_user="a", smtp_password_file="f", smtp_security=SmtpSecurity.NONE), "smtp_security"),
    ],
)
def test_what_cannot_work_is_refused_by_its_key(options: AnchorOptions, key: str) -> None:
    assert options.problem is not None
    assert options.problem[0] == key


def test_what_can_work_is_not() -> None:
    assert AnchorOptions().problem is None
    assert mail_options(25, syslog="tls://[::1]", folder="/mnt/x").problem is None


# --- when


class Noted:
    """A target that notes what it was told, and fails when it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heads: list[Head] = []
        self.why = ""

    def send(self, head: Head, *, timeout_s: float) -> None:
        assert timeout_s > 0
        if self.why:
            raise AnchorError(self.why)
        self.heads.append(head)


class Site:
    """Anchors of a real log and a real database, and a clock that is set."""

    def __init__(self, root: Path, targets: Sequence[Target]) -> None:
        self.audit = AuditLog(root / "audit")
        self.database = Database(sqlite_url(root / "index.sqlite"))
        self.anchors = Anchors(self.database)
        self.alarms: Counter[str] = Counter()
        self.s = 0.0
        self.anchoring = Anchoring(
            self.audit, node="node", targets=lambda: targets, every_s=lambda: 3600.0, anchors=self.anchors,
            alarm=lambda what: self.alarms.update([what]), now=lambda: AT + timedelta(seconds=self.s),
            clock=lambda: self.s,
        )  # fmt: skip


def test_each_hour_at_the_end_and_again_when_it_failed(tmp_path: Path) -> None:
    one, two = Noted("syslog"), Noted("mail")
    site = Site(tmp_path, [one, two])
    try:
        site.anchoring.run_due()
        assert one.heads == [], "there is nothing to note yet"
        site.s = 3600
        first = site.audit.append("call.pause", "jo", "call-1")
        two.why = "mail by mx:25: Connection refused"
        assert site.anchoring.run_due() == RETRY_S
        assert one.heads == [Head(number=1, hash=first.hash, at=AT + timedelta(hours=1), node="node")]
        assert site.alarms == {ALARM: 1}
        stood = {line["target"]: line for line in site.anchoring.as_json()}
        assert (stood["syslog"]["entry"], stood["syslog"]["problem"], stood["mail"]["entry"]) == (1, "", None)
        assert stood["mail"]["problem"] == two.why

        site.s += RETRY_S
        two.why = ""
        second = site.audit.append("call.resume", "jo", "call-1")
        site.anchoring.run_due()
        assert [head.number for head in one.heads] == [1], "it is not due"
        assert [head.hash for head in two.heads] == [second.hash]
        assert {line["target"]: line["problem"] for line in site.anchoring.as_json()} == {"syslog": "", "mail": ""}

        site.s += 100
        assert {line["target"]: line["age_s"] for line in site.anchoring.as_json()} == {"syslog": 160.0, "mail": 100.0}
        site.anchoring.run_due(is_last=True)
        assert ([head.number for head in one.heads], [head.number for head in two.heads]) == ([1, 2], [2])
        assert [(head.number, head.hash) for head in site.anchors.heads()] == [
            (1, first.hash), (2, second.hash), (2, second.hash),
        ]  # fmt: skip
        assert {name: (anchor.number, anchor.problem) for name, anchor in site.anchors.newest().items()} == {
            "syslog": (2, ""), "mail": (2, ""),
        }  # fmt: skip
        assert site.audit.verify(site.anchors.heads()).problems == []
    finally:
        site.database.close()


def test_a_log_that_cannot_be_read_is_an_alarm_and_not_the_end(tmp_path: Path) -> None:
    one = Noted("syslog")
    site = Site(tmp_path, [one])
    try:
        site.audit.append("call.pause", "jo", "call-1")
        content = site.audit.path.read_bytes()
        site.audit.path.write_bytes(content[:-30] + b"x" * 29 + b"\n")
        assert site.anchoring.run_due() == RETRY_S
        assert (one.heads, site.alarms) == ([], {ALARM: 1})
        site.audit.path.write_bytes(content)
        site.s = RETRY_S
        site.anchoring.run_due()
        assert [head.number for head in one.heads] == [1]
    finally:
        site.database.close()


def test_a_database_that_is_down_keeps_nobody_from_telling(tmp_path: Path) -> None:
    one = Noted("syslog")
    site = Site(tmp_path, [one])
    site.database.close()
    (tmp_path / "index.sqlite").unlink()
    (tmp_path / "index.sqlite").mkdir()
    site.audit.append("call.pause", "jo", "call-1")
    site.anchoring.run_due()
    assert ([head.number for head in one.heads], site.alarms) == ([1], {})
    site.database.close()


def test_a_bug_of_a_target_does_not_end_the_thread(tmp_path: Path) -> None:
    class Broken(Noted):
        def send(self, head: Head, *, timeout_s: float) -> None:
            self.heads.append(head)
            if len(self.heads) == 1:
                raise RuntimeError("a bug")

    one = Broken("syslog")
    site = Site(tmp_path, [one])
    try:
        site.audit.append("call.pause", "jo", "call-1")
        stopping = threading.Event()
        thread = threading.Thread(target=site.anchoring.keep, args=(stopping,))
        thread.start()
        eventually(lambda: site.alarms[ALARM], "the bug is an alarm")
        assert thread.is_alive()
        stopping.set()
        thread.join(5)
        assert not thread.is_alive()
        assert [head.number for head in one.heads] == [1, 1]
    finally:
        site.database.close()


def test_a_failed_anchor_is_no_head_and_a_later_success_takes_its_place(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    anchors = Anchors(database)
    failed = Anchor(target="mail", number=3, hash="cd" * 32, at=AT, problem="refused")
    anchors.note(failed)
    assert (list(anchors.heads()), anchors.newest()) == ([], {})
    anchors.note(replace(failed, problem="", at=AT + timedelta(minutes=1)))
    assert [head.at for head in anchors.heads()] == [AT + timedelta(minutes=1)]
    database.close()
