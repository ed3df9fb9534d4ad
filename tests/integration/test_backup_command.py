"""`recorder backups add`, `backups` and `restore`; the console's thread; what health says of backups."""

import errno
import json
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.testing import CliRunner

from recorder.backups.backup import LOCK
from recorder.backups.following import OTHERS_EVERY_S, Following
from recorder.backups.status import BEHIND, OVERDUE, BackupHealth, BackupStatus
from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.config.backup_options import BackupOptions
from recorder.objects.folder_store import FolderStore
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.durable import SavedFile
from storage.keys import NodeKeys
from tests.helpers.due_home import DAY, add_recording
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home
from tests.helpers.sweep_site import NOW


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5002", is_started=False) as made:
        for name in ("dest", "keys"):
            (tmp_path / name).mkdir()
        yield made


def invoke(home: RecorderHome, *words: str, code: int = 0) -> tuple[str, str]:
    """Run a command that must end with an exit code; returns what it wrote."""
    done = CliRunner().invoke(app, [*words, "-C", str(home.root)])
    assert done.exit_code == code, (done.exit_code, done.stdout, done.stderr, done.exception)
    return done.stdout, " ".join(done.stderr.split())


def back_up(home: RecorderHome, *words: str, code: int = 0) -> tuple[str, str]:
    folder = home.root.parent
    return invoke(home, "backup", str(folder / "dest"), "--keys", str(folder / "keys"), *words, code=code)


def entries(home: Home, act: str) -> list[dict[str, Any]]:
    return [entry.to_json() for entry in of_act(home.audit / "audit.log", act)]


def test_a_home_is_backed_up_listed_checked_and_restored_at_the_shell(home: RecorderHome, tmp_path: Path) -> None:
    due = add_recording(home, 91 * DAY, 1)
    kept = add_recording(home, DAY, 2)
    _, said = back_up(home, code=1)
    assert "holds no backup of this recorder. Is the disk mounted? For a new destination, add --init" in said
    planned = json.loads(back_up(home, "--init", "--dry-run", "--json")[0])
    assert (planned["recordings"], planned["new_recordings"], list((tmp_path / "dest").iterdir())) == (2, 2, [])
    made = json.loads(back_up(home, "--init", "--json")[0])
    assert (made["recordings"], made["keys_at"]) == (2, str(tmp_path / "keys"))
    _, said = back_up(home)
    assert "private keys have no passphrase: who has" in said
    assert "copying recordings: 100 %" in said
    assert "2 recordings" in said
    assert "verified" in said
    (begun, *_), made_twice = entries(Home(home.root), "backup.begun"), entries(Home(home.root), "backup.made")
    assert begun["actor"].startswith("os:")
    assert [one["details"]["recordings"] for one in made_twice] == [2, 2]

    home.edit('\ndestination = "off"', f'\ndestination = "{tmp_path}/dest"')
    home.recorder("retention", "run", *home.as_admin(), "-C", str(home.root))
    assert not list((tmp_path / "dest").glob(f"media/*/{due}"))
    listed = json.loads(invoke(home, "backups", "list", "--json")[0])
    assert [one["classes"]["media"]["files"] for one in listed] == [4, 4]
    assert listed[0]["snapshot"] == made["snapshot"]
    assert json.loads(invoke(home, "backups", "check", "--json")[0])["problems"] == []
    assert made["snapshot"] in invoke(home, "backups", "list")[0]

    words = ("restore", str(tmp_path / "dest"), "--keys", str(tmp_path / "keys"), "-C", str(tmp_path / "new"))
    planned = json.loads(home.recorder(*words, "--dry-run", "--json"))
    assert (planned["recordings"], planned["deleted_since"], (tmp_path / "new").exists()) == (1, 1, False)
    done = json.loads(home.recorder(*words, "--json"))
    assert (done["verified"], done["problems"], done["deleted_since"]) == (1, {}, 1)
    new = Home(tmp_path / "new")
    assert [path.stem for path in new.recordings.rglob("*.rec")] == [kept]
    assert json.loads(home.recorder("verify", "--all", "-C", str(new.root), "--json"))[0]["ok"]
    found = json.loads(home.recorder("find", *home.as_admin(), "-C", str(new.root), "--json"))
    assert [row["id"] for row in found] == [kept], "the first search does not find what was deleted"
    assert json.loads(home.recorder("audit", "verify", "-C", str(new.root), "--json"))["problems"] == []
    assert "restored from snapshot" in home.run("reconcile", "-C", str(new.root)).stderr
    again = home.run(*words)
    assert (again.returncode, "nothing in it is overwritten" in again.stderr) == (1, True)


def test_a_full_destination_is_said_and_costs_nothing(home: RecorderHome, monkeypatch: pytest.MonkeyPatch) -> None:
    add_recording(home, DAY, 1)
    back_up(home, "--init")
    add_recording(home, DAY, 2)
    write, written = SavedFile._write_temporary, 0

    def full(self: SavedFile, parts: Iterable[bytes]) -> Path:
        nonlocal written
        written += self.path.is_relative_to(home.root.parent / "dest")
        if written > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, parts)

    monkeypatch.setattr(SavedFile, "_write_temporary", full)
    _, said = back_up(home, code=1)
    assert "dest is full. The last complete snapshot is unchanged; free space there" in said
    monkeypatch.undo()
    where = str(home.root.parent / "dest")
    assert len(json.loads(invoke(home, "backups", "list", where, "--json")[0])) == 1
    assert json.loads(invoke(home, "backups", "check", where, "--json")[0])["problems"] == []
    assert json.loads(back_up(home, "--json")[0])["recordings"] == 2


@pytest.mark.parametrize(
    ("destination", "keys", "said"),
    [
        ("home/backup", "keys", "must lie outside the recorder's home"),
        ("dest", "dest/keys", "the keys must go to a different place"),
        ("dest", "dest", "the keys must go to a different place"),
        ("absent", "keys", "Is the disk mounted?"),
    ],
)
def test_a_destination_that_is_of_no_use_is_refused(
    home: RecorderHome, tmp_path: Path, destination: str, keys: str, said: str
) -> None:
    words = ("backup", str(tmp_path / destination), "--keys", str(tmp_path / keys))
    done = home.run(*words, "-C", str(home.root))
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())


def test_two_backups_do_not_run_at_once_and_another_user_makes_none(
    home: RecorderHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(home, "--init")
    with locked(home.root / "state" / LOCK, wait=False):
        assert "another backup is being made" in back_up(home, code=1)[1]
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert f"run it as the user that owns {home.root}: sudo -u" in back_up(home, code=1)[1]

    def nameless(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nameless)
    assert "sudo -u uid:" in back_up(home, code=1)[1]


def test_the_console_carries_deletions_and_health_says_when_it_cannot(home: RecorderHome, tmp_path: Path) -> None:
    due, place = add_recording(home, 91 * DAY, 1), Home(home.root)
    add_recording(home, DAY, 2)
    back_up(home, "--init")
    dest, stopping, clock_s = tmp_path / "dest", threading.Event(), 0.0
    following = Following(
        home=place,
        destination=str(dest),
        open=lambda: FolderStore(dest),
        node=NodeKeys.load(home.root),
        audit=AuditLog(place.audit),
        now=lambda: NOW,
        clock=lambda: clock_s,
    )
    thread = threading.Thread(target=following.keep, args=(stopping,))
    home.recorder("retention", "run", *home.as_admin(), "-C", str(home.root))
    assert list(dest.glob(f"media/*/{due}/*")), "the command knows of no destination"
    thread.start()
    eventually(lambda: not list(dest.glob(f"media/*/{due}/*")), "the console removes it from the backup")
    stopping.set()
    thread.join()
    assert BackupStatus(place.state).read()["problem"] == ""
    dest.rename(tmp_path / "away")
    AuditLog(place.audit).append("config.reload", "tests", "")
    following.run_due()
    assert BackupStatus(place.state).read()["problem"] == "", "what deletes nothing waits for a minute"
    clock_s += OTHERS_EVERY_S
    following.run_due()
    noted = BackupStatus(place.state).read()
    assert "Is the disk mounted" in noted["problem"]

    def look(after: timedelta, destination: str | None = "/mnt") -> dict[str, Any]:
        options = BackupOptions(destination=destination)
        return BackupHealth(place.state, lambda: options, lambda: NOW + after, NOW).look()

    assert look(timedelta(minutes=1))["alarms"] == {}
    found = look(timedelta(minutes=3))
    assert (found["alarms"], found["problem"]) == ({BEHIND: 1}, noted["problem"])
    assert look(timedelta(minutes=3), destination=None)["alarms"] == {}
    (tmp_path / "away").rename(dest)
    following.run_due()
    assert look(timedelta(minutes=3))["alarms"] == {}
    made = utc_now() - NOW
    assert look(made + timedelta(hours=35))["alarms"] == {}
    assert look(made + timedelta(hours=37))["alarms"] == {OVERDUE: 1}
    (place.state / "backup.json").write_text("{")
    assert look(timedelta(0))["alarms"] == {BEHIND: 1}
