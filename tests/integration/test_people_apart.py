"""The daemon needs no file of people: the console sweeps it, and notes for health how mails stand."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from recorder.access.listening.emergencies import Emergencies
from recorder.access.tables import accounts
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.mail_options import MailOptions
from recorder.config.settings import Config, Console, Storage
from recorder.notifications.mail_health import MailHealth
from recorder.retention import sweep_process
from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.console_sweep import NAME, OVERDUE_ALARM, PEOPLE_SWEPT, PeopleSweep, alarms_of
from recorder.retention.sweep_process import NothingConfirmed, opened_sweeper, sweeps_people
from recorder.retention.sweep_safeguards import SweepStoppedError
from recorder.retention.sweep_state import SweepFile
from recorder.retention.sweeping import Sweeping
from recorder.rules.retention_schedule import DataClass
from sip.options import Address
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.types import RecordingId
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.sweep_site import NOW, SweepSite, agreed

LONG_AGO = NOW - timedelta(days=800)
WITH_CONSOLE = Console(listen=Address(host="127.0.0.1", port=8080))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SweepSite]:
    made = SweepSite(tmp_path)
    yield made
    made.close()


def apart(site: SweepSite) -> PeopleSweep:
    """Return the console's part."""
    return PeopleSweep(
        former=AccountExpiry(site.people),
        audit=site.audit,
        state=site.home.state,
        periods=Config().periods,
        now=lambda: NOW,
    )


def names(site: SweepSite) -> list[str]:
    with site.people.begin() as connection:
        return sorted(connection.exec_driver_sql("SELECT name FROM accounts").scalars())


def add_accounts(site: SweepSite, disabled_at: datetime) -> None:
    """Make an account in use and one that is not, by no act: the audit log's clock is the machine's."""
    made = {"roles": "admin", "teams": "", "password_hash": "-", "created_s": 0.0, "failures": 0}
    with site.people.begin() as connection:
        for name, disabled_s in (("ada", None), ("gone", disabled_at.timestamp())):
            values = {"name": name, "display_name": name, "disabled_s": disabled_s, **made}
            connection.execute(insert(accounts).values(**values))


def add_former(site: SweepSite) -> None:
    add_accounts(site, LONG_AGO)
    emergencies = Emergencies(site.people, now=lambda: LONG_AGO)
    found = emergencies.begin("ada", RecordingId("x"), "why", enter=lambda _: None)
    emergencies.acknowledge(found.id, by="dora")


def test_the_daemon_s_sweep_leaves_people_to_the_console(site: SweepSite) -> None:
    add_former(site)
    due = site.record(NOW - timedelta(days=91))
    daemon_s = agreed(replace(site.sweeper(NOW), former=None))
    counts = daemon_s.run().counts
    assert (counts["recordings"], counts.get("access", 0)) == (1, 0)
    assert not site.traces(due)["file"]
    assert names(site) == ["ada", "gone"]
    done = apart(site).run()
    assert (done[DataClass.ACCESS], done[DataClass.TEXTS]) == (1, 1)
    assert names(site) == ["ada"]
    (entry,) = site.acts(PEOPLE_SWEPT)
    assert entry["details"]["counts"]["access"] == 1


def test_it_is_done_once_for_each_sweep_and_not_before_one_ended_well(site: SweepSite) -> None:
    console_s = apart(site)
    add_former(site)
    assert console_s.run() == {}
    assert names(site) == ["ada", "gone"]
    agreed(replace(site.sweeper(NOW), former=None)).run()
    assert console_s.run()[DataClass.ACCESS] == 1
    assert console_s.run() == {}
    assert len(site.acts(PEOPLE_SWEPT)) == 1


def test_health_says_when_the_console_does_not_do_its_part(site: SweepSite) -> None:
    agreed(replace(site.sweeper(NOW), former=None)).run()
    apart(site).run()
    later = NOW + timedelta(days=2)
    days = [alarms_of(site.home.state, NOW + timedelta(days=day), since=NOW) for day in (1, 4)]
    assert days == [{}, {OVERDUE_ALARM: 1}]
    agreed(site.sweeper(later)).run()
    assert alarms_of(site.home.state, NOW + timedelta(days=4), since=NOW) == {}, "whoever opens the file sweeps it too"
    (site.home.state / NAME).write_text("{")
    assert alarms_of(site.home.state, later, since=NOW) == {OVERDUE_ALARM: 1}
    (site.home.state / NAME).unlink()
    assert alarms_of(site.home.state, NOW + timedelta(days=2), since=NOW) == {}
    assert alarms_of(site.home.state, NOW + timedelta(days=4), since=NOW) == {OVERDUE_ALARM: 1}


def test_the_daemon_tells_of_it_only_while_its_own_sweep_ends_well(site: SweepSite) -> None:
    config = replace(Config(), console=WITH_CONSOLE)
    now = NOW
    daemon_s = Sweeping(site.home, lambda: config, now=lambda: now)
    now = NOW + timedelta(days=5)
    assert daemon_s.health()["alarms"] == {"retention_overdue": 1}
    agreed(replace(site.sweeper(now), former=None)).run()
    assert daemon_s.health()["alarms"] == {OVERDUE_ALARM: 1}
    config = Config()
    assert daemon_s.health()["alarms"] == {}, "there is no console"


def test_what_is_deleted_stands_in_the_log_before(site: SweepSite, monkeypatch: pytest.MonkeyPatch) -> None:
    add_former(site)
    agreed(replace(site.sweeper(NOW), former=None)).run()

    def full(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "append", full)
        with pytest.raises(OSError, match="No space"):
            apart(site).run()
    assert names(site) == ["ada", "gone"]
    assert apart(site).run()[DataClass.ACCESS] == 1


def test_a_sweep_that_was_noted_for_the_future_deletes_nobody_early(site: SweepSite) -> None:
    """The state is the daemon's to write; accounts are not."""
    add_accounts(site, NOW - timedelta(days=10))
    site.sweeper(NOW)
    file = SweepFile(site.home.state, site.audit)
    short = dict.fromkeys(Config().periods, 1)
    file.save(replace(file.load(), last_success=NOW + timedelta(days=5000), in_force=short))
    apart(site).run()
    assert names(site) == ["ada", "gone"]


def test_nothing_is_confirmed_for_a_sweep_that_does_not_look(site: SweepSite) -> None:
    for _ in range(60):
        site.record(NOW - timedelta(days=91))
    sweeper = replace(site.sweeper(NOW, most_share=1.0), former=None, consents=NothingConfirmed())
    with pytest.raises(SweepStoppedError):
        sweeper.run()


def test_where_there_is_no_console_the_daemon_s_sweep_does_all() -> None:
    assert sweeps_people(Config(console=Console(listen=None)))
    assert not sweeps_people(Config(console=WITH_CONSOLE))


def test_the_daemon_s_sweep_opens_no_accounts_on_a_server() -> None:
    on_server = Storage(accounts_url="postgresql://recorder_console@db/recorder")
    assert not sweeps_people(Config(console=Console(listen=None), storage=on_server))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    edits = [('[console]\nlisten = "off"', '[console]\nlisten = "127.0.0.1:1"')]
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False, edits=edits) as made:
        yield made


def test_a_sweep_and_health_open_no_file_of_people(home: RecorderHome) -> None:
    """With a file there that cannot be opened by anybody, sweep and health are as with one that can."""
    place = Home(home.root)
    place.people.write_bytes(b"no database at all" * 1000)
    with pytest.raises(sqlite3.DatabaseError), closing(sqlite3.connect(place.people)) as database:
        database.execute("SELECT * FROM accounts")
    assert sweep_process.main(home.root) == sweep_process.DONE
    assert json.loads((place.state / "retention.json").read_text())["problem"] == ""
    assert list(of_act(AuditLog(place.audit).path, "retention.swept"))
    assert MailHealth(place.state, MailOptions(smtp="127.0.0.1:25"), utc_now).look()["alarms"] == {}
    with opened_sweeper(place, Config(console=WITH_CONSOLE), has_people=False) as sweeper:
        assert sweeper.former is None
