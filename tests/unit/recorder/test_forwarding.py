"""The daemon keeps the process that sends running as it is configured, and health says how it does."""

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.common import kept_process
from recorder.common.home import Home
from recorder.config.object_options import ObjectOptions
from recorder.config.settings import Config, Storage
from recorder.config.syslog_options import SyslogOptions
from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.sending_progress import SendingState
from recorder.forwarding.status import ForwardingHealth, ForwardingStatus, note_status
from recorder.forwarding.webhook_delivery import WebhookState
from recorder.forwarding.webhook_queue import QueueError, WebhookQueue
from recorder.service import object_keeping
from recorder.service.findings import Level
from recorder.service.forwarder import Forwarder
from recorder.service.forwarding import Forwarding
from recorder.service.forwarding_check import check_webhooks
from storage.audit import AuditLog

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
SYSLOG = Config(syslog=SyslogOptions(server="tls://siem.example"))
CRM = WebhookOptions(name="crm", url="https://crm.example/", secret_file="/x")


class Child:
    """A process that runs until it is told or made to end."""

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.code = -15

    def kill(self) -> None:
        self.code = -9

    def wait(self, timeout: float | None = None) -> int:
        assert timeout is None or timeout > 0
        assert self.code is not None
        return self.code


class Daemon:
    """The supervisor, with a configuration that can change."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.children: list[Child] = []
        self.forwarding = Forwarding(Home(Path("/home-of-it")), lambda: self.config, start=self._start)

    def _start(self, home: Home) -> Child:
        assert home.root == Path("/home-of-it")
        self.children.append(Child())
        return self.children[-1]

    def look(self, times: int = 1) -> list[int | None]:
        for _ in range(times):
            self.forwarding.look()
        return [one.code for one in self.children]


def test_nothing_runs_where_nothing_is_to_be_sent() -> None:
    assert Daemon(Config()).look(5) == []


def test_a_process_that_ends_is_started_again_later_and_later() -> None:
    daemon = Daemon(SYSLOG)
    assert daemon.look(3) == [None]
    starts = []
    for _ in range(4):
        daemon.children[-1].code = 1
        count, looks = len(daemon.children), 0
        while len(daemon.children) == count:
            daemon.look()
            looks += 1
        starts.append(looks)
    assert starts == [1, 2, 4, 8]
    daemon.look(60)
    daemon.children[-1].code = 1
    daemon.look()
    assert daemon.children[-1].code is None, "it had run well"


def test_marks_are_forgotten_when_no_webhook_is_configured(tmp_path: Path) -> None:
    queue = WebhookQueue(Home(tmp_path).webhooks)
    config = replace(SYSLOG, webhook=(CRM,))
    forwarding = Forwarding(Home(tmp_path), lambda: config, start=lambda _home: Child())
    queue.add([], [], AT, mark=("audit", "{}"))
    forwarding.look()
    assert queue.mark("audit") == "{}"
    config = SYSLOG
    forwarding.look()
    assert queue.mark("audit") is None
    Home(tmp_path).webhooks.write_bytes(b"no database" * 99)
    child = Child()
    damaged = Forwarding(Home(tmp_path), lambda: config, start=lambda _home: child)
    with pytest.raises(QueueError):
        damaged.look()
    damaged._end()
    assert child.code == -15, "a queue that is damaged does not keep syslog from being sent"


def test_no_fault_ends_the_watch_over_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kept_process, "LOOK_S", 0.001)
    tries, started = iter(range(2)), threading.Event()

    def start(_home: Home) -> Child:
        if next(tries) == 0:
            raise KeyError("a fault of ours")
        started.set()
        return Child()

    forwarding = Forwarding(Home(tmp_path), lambda: SYSLOG, start=start)
    forwarding.start()
    try:
        assert started.wait(10)
    finally:
        forwarding.close()


def test_no_thread_watches_over_the_object_store_before_one_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    started, config = threading.Event(), Config()

    def start(*_words: str) -> Child:
        started.set()
        return Child()

    monkeypatch.setattr(object_keeping, "start_module", start)
    kept = object_keeping.kept_object_process(Home(Path("/home-of-it")), lambda: config)
    kept.start_if_wanted()
    assert "objects" not in {one.name for one in threading.enumerate()}
    config = Config(objects=ObjectOptions(url="/mnt/recordings"))
    kept.start_if_wanted()
    kept.start_if_wanted()  # the next reload
    assert started.wait(5)
    kept.close()


def test_without_its_daemon_nothing_is_sent(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    log.append("call.pause", "alice", "")
    gone = Forwarder(Home(tmp_path), SYSLOG, daemon=os.getppid() + 1)
    gone.run()
    assert not (tmp_path / "state").exists()
    assert [thread.ident for thread in gone._threads] == [None]


def test_a_changed_configuration_starts_it_anew_or_ends_it() -> None:
    daemon = Daemon(SYSLOG)
    daemon.look()
    daemon.config = replace(SYSLOG, webhook=(CRM,))
    assert daemon.look(2) == [-15, None]
    daemon.config = replace(daemon.config, sha256="another, but nothing of it")
    assert daemon.look(2) == [-15, None]
    daemon.config = Config()
    assert daemon.look(2) == [-15, -15]


# --- health


class Health:
    """What health says at a moment."""

    def __init__(self, state: Path, config: Config) -> None:
        self.state = state
        self.now = AT
        self.health = ForwardingHealth(state=state, config=lambda: config, now=lambda: self.now)

    def note(self, **fields: object) -> None:
        note_status(self.state, ForwardingStatus(at=self.now, **fields))  # type: ignore[arg-type]

    def alarms(self, after: timedelta = timedelta()) -> dict[str, int]:
        self.now += after
        found: dict[str, int] = self.health.look()["alarms"]
        return found


MINUTE = timedelta(minutes=1)


def test_a_clock_that_was_set_back_hides_no_alarm(tmp_path: Path) -> None:
    health, since = Health(tmp_path, SYSLOG), "2026-11-25T09:30:00Z"
    health.note(syslog=SendingState(sent=3, waiting=7, failing_since=since, problem="no"))
    health.now -= timedelta(days=30)
    assert health.alarms() == {"forwarding_stopped": 1, "syslog_failing": 7}
    health.note(syslog=SendingState(sent=3))
    assert health.alarms() == {}


def test_health_without_anything_to_send(tmp_path: Path) -> None:
    assert Health(tmp_path, Config()).alarms(60 * MINUTE) == {}


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"at": null}'])
def test_a_process_that_does_not_run_is_an_alarm(tmp_path: Path, content: bytes | None) -> None:
    health = Health(tmp_path, SYSLOG)
    if content is not None:
        (tmp_path / "forwarding.json").write_bytes(content)
    assert health.alarms() == {}
    assert health.alarms(2 * MINUTE) == {"forwarding_stopped": 1}


def test_a_server_that_takes_nothing_for_ten_minutes_is_an_alarm_until_it_does(tmp_path: Path) -> None:
    health, since = Health(tmp_path, SYSLOG), "2026-11-25T09:30:00Z"
    health.now += 9 * MINUTE
    health.note(syslog=SendingState(sent=3, waiting=7, failing_since=since, problem="no"))
    assert health.alarms() == {}
    health.now += MINUTE
    health.note(syslog=SendingState(sent=3, waiting=7, failing_since=since, problem="no"))
    assert health.alarms() == {"syslog_failing": 7}
    assert health.health.look()["syslog"]["problem"] == "no"
    health.note(syslog=SendingState(sent=10))
    assert health.alarms() == {}


def test_copies_that_fail_for_long_are_an_alarm(tmp_path: Path) -> None:
    config = Config(storage=Storage(index_url="postgresql://recorder@db/recorder"))
    health, since = Health(tmp_path, config), "2026-11-25T09:20:00Z"
    health.note(copies=SendingState(sent=3, waiting=7, failing_since=since, problem="no"))
    assert health.alarms() == {"audit_not_copied": 7}
    assert health.health.look()["copies"]["problem"] == "no"
    health.note(copies=SendingState(sent=10))
    assert health.alarms() == {}


def test_the_process_runs_where_the_index_is_on_a_server() -> None:
    daemon = Daemon(Config(storage=Storage(index_url="postgresql://recorder@db/recorder")))
    assert daemon.look() == [None]
    daemon.config = Config(storage=Storage(index_url="sqlite:///elsewhere.sqlite"))
    assert daemon.look() == [-15]


def test_webhooks_that_fail_or_gave_up_and_a_queue_that_takes_nothing_are_alarms(tmp_path: Path) -> None:
    health, since = Health(tmp_path, Config(webhook=(CRM,))), "2026-11-25T09:20:00Z"
    health.note(webhooks=(WebhookState(name="crm", failing_since=since), WebhookState(name="b", given_up=4)))
    assert health.alarms() == {"webhook_failing": 2}
    health.note(webhooks=(WebhookState(name="crm", waiting=9),), queue_problem="disk is full")
    assert health.alarms() == {"events_not_queued": 1}


# --- site check


def test_site_check_says_what_keeps_a_webhook_from_working(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    target = WebhookOptions(name="crm", url="https://127.0.0.2/hook", secret_file=str(secret))

    def says(one: WebhookOptions) -> tuple[Level, str]:
        (finding,) = check_webhooks(Config(webhook=(one,)))
        return finding.level, finding.says

    assert says(target)[1].endswith("cannot be read: No such file or directory")
    secret.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    secret.chmod(0o644)
    assert says(target)[1].endswith("its mode must be 0600")
    secret.chmod(0o600)
    level, sentence = says(target)
    assert level is Level.WARNING
    assert "resolves to 127.0.0.2, which is not allowed" in sentence
    assert says(replace(target, networks=("127.0.0.0/8",)))[0] is Level.OK
    secret.write_text("password")
    assert "each line must be whsec_" in says(target)[1]
    secret.write_text("")
    assert "it has 0 lines" in says(target)[1]
