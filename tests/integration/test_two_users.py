"""Daemon and console as two users of the operating system, in one home: who may do what there, and who may not.

Takes root, which the tests run as where they are run for every change. `test_shared_home.py` has what takes one user.
"""

import json
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

import httpx2
import pytest

from recorder.access.signing import secret_path
from recorder.common.home import Home
from recorder.permissions import Role
from recorder.recordings.home_rights import wrong_rights
from recorder.recordings.resurrection_guard import LOCK as SWEEP_LOCK
from recorder.recordings.resurrection_guard import alone
from recorder.retention import sweep_process
from recorder.service.findings import Level
from recorder.service.home_check import check_folders
from storage.audit import AuditLog
from storage.audit_reading import of_act
from tests.helpers import loader_process, preloaded
from tests.helpers.console_site import Browser
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import ADMIN, HANGS_S, HEARER, PASSWORD, RecorderHome, eventually, must
from tests.helpers.unix_transport import UnixTransport

ONE, DAEMON, CONSOLE, STRANGER, GROUP = 64_000, 64_001, 64_002, 64_004, 64_003
"""``ONE`` ran both before; ``STRANGER`` is in no group."""
MAY: dict[str, str] = {
    "recorder.toml": "r",
    "pins.json": "r",
    "keys/epochs/*": "r",
    "keys/node/*": "r",
    "keys/actor/actor.pub": "r",
    "notices/*": "r",
    "audit/*": "rw",
    "state/*": "rw",
    "state/*/*": "rw",
    "common/*": "rw",
    "keys/sealed/*/*": "rw",
    "recordings/*/*/*/*/*": "rw",
    "lost+found/*/*.json": "rw",
    "lost+found/*/*-strange": "",
    "keys/actor/actor.key": "",
    "people.sqlite": "",
    "people.sqlite-journal": "",
    "private/*.key": "",
    "copy.wav": "",
    "backup/*.key": "",
}
"""What the daemon's user may do with each file of a home. The console's user may read and write each of them."""
MADE = {
    "audit/audit.log", "audit/texts.sqlite", "common/index.sqlite", "common/recorder.sock", "common/index.sqlite-wal",
    "state/agreement.json", "state/audit_verified.json", "state/pauses.journal", "state/ports", "pins.json",
    "private/accounts.key", "copy.wav",
}  # fmt: skip
"""Some of the files that the calls and commands below make."""
WRITTEN = ("audit", "state", "common", "recordings", "keys/sealed", "lost+found")
"""Folders in which the daemon's user creates and removes files, with those in them."""
IS_ROOT = os.geteuid() == 0
IS_READABLE = all(folder.stat().st_mode & 0o001 for folder in (preloaded.ROOT, *preloaded.ROOT.parents))
"""Whether the other users can reach the sources and what is installed beside them."""
CAN_MOUNT = IS_ROOT and subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0
"""Whether the daemon can see the home as its unit lets it; not in most containers."""
EDITS = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.3"))


def as_user(uid: int, act: Callable[[], object], group: int = GROUP) -> str:
    """Do something in a child that is another user of the group; return how it ended: "", or the error's name."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b""
        try:
            os.close(reading)
            loader_process.become(uid, group)
            act()
        except BaseException as error:  # noqa: BLE001 - the parent looks
            said = f"{type(error).__name__}: {error}".encode()
        os.write(writing, said[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said.decode()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user of the machine can reach."""
    made = Path(tempfile.mkdtemp(prefix="recorder-users-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextmanager
def two_users(folder: Path) -> Iterator[tuple[Exchange, str]]:
    """A home in which one user recorded a call, which is given too, shared with two others by the command."""
    with exchange(folder, edits=EDITS, is_started=False) as lines:
        home = lines.home
        host, port = home.sip
        home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "{host}:{port}"')
        for path in [home.root, *home.root.rglob("*")]:
            os.chown(path, ONE, ONE)
        home.user = (ONE, ONE)
        home.start()
        talk = lines.call()
        before_sharing = talk.join()
        talk.talk_for(1.0)
        assert talk.hang_up()["outcome"] == "recorded"
        words = ("share", str(GROUP), "--owner", str(CONSOLE), "-C", str(home.root))
        assert "stop daemon and console" in home.run(*words).stderr
        home.stop()
        before = states(home.root)
        told = home.run(*words, "--dry-run")
        assert told.returncode == 0, told.stderr
        assert f"{home.root}/people.sqlite: uid:{ONE}:{ONE} 0600 -> uid:{CONSOLE}:{ONE} 0600" in told.stderr
        assert f"{home.root}/index.sqlite would be moved to {home.root}/common/index.sqlite" in told.stderr
        assert states(home.root) == before, "a dry run changes nothing"
        done = home.run(*words)
        assert done.returncode == 0, done.stderr
        assert (Home(home.root).common / "index.sqlite").exists()
        assert list(wrong_rights(Home(home.root))) == []
        home.user = (DAEMON, GROUP, str(home.root)) if CAN_MOUNT else (DAEMON, GROUP)
        yield lines, before_sharing


def states(root: Path) -> dict[str, tuple[int, ...]]:
    found = {path: path.lstat() for path in [root, *root.rglob("*")]}
    return {str(path): (one.st_uid, one.st_gid, one.st_mode, one.st_mtime_ns) for path, one in found.items()}


def rights_of_user(uid: int, root: Path, group: int = GROUP) -> dict[str, str]:
    """Return what a user may do with each path of a home: ``r`` and ``w``, of a folder ``x`` too."""
    found: dict[str, str] = {}
    paths = [root, *root.rglob("*")]

    def asked() -> None:
        may = ((os.R_OK, "r"), (os.W_OK, "w"), (os.X_OK, "x"))
        for path in paths:
            found[path.relative_to(root).as_posix()] = "".join(
                letter for mode, letter in may if (letter != "x" or path in folders) and os.access(path, mode)
            )
        raise LookupError(json.dumps(found))

    folders = {path for path in paths if path.is_dir()}
    said = as_user(uid, asked, group)
    assert said.startswith("LookupError: "), said
    answer: dict[str, str] = json.loads(said.removeprefix("LookupError: "))
    return answer


def row_of_table(name: str) -> str:
    """Return the one row of the table that a file is in."""
    rows = [row for row in MAY if len(PurePath(row).parts) == len(PurePath(name).parts) and fnmatchcase(name, row)]
    assert len(rows) == 1, f"{name} is in {rows or 'no row'} of the table"
    return rows[0]


def check_every_file(root: Path) -> None:
    """Compare what each of the two users, and a third one, may do with every file and folder."""
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    assert files >= MADE, MADE - files
    daemon, console = rights_of_user(DAEMON, root), rights_of_user(CONSOLE, root)
    assert {name: daemon[name] for name in files} == {name: MAY[row_of_table(name)] for name in files}
    assert {name: console[name] for name in files} == dict.fromkeys(files, "rw")
    for name in daemon.keys() - files:
        if any(PurePath(name).is_relative_to(top) for top in WRITTEN):
            assert (daemon[name], console[name]) == ("rwx", "rwx"), name
        else:
            assert ("w" in daemon[name], console[name]) == (False, "rwx"), name
    assert (daemon["private"], daemon["backup"], daemon["keys/actor"]) == ("", "", "x")
    assert set(rights_of_user(STRANGER, root, STRANGER).values()) == {""}


def make_more(home: RecorderHome, recording: str) -> None:
    """Have the console's user, by the command line, make files of every kind, and the daemon's too."""
    on, secret = ("-C", str(home.root)), home.root.parent / "pin"
    secret.write_text("283746\n")
    home.add_person("ian", Role.ICT)
    ian = ("--as", "ian", "--password-file", str(home.password_file))
    strange = home.root / "recordings" / "strange"
    assert as_user(CONSOLE, lambda: os.close(os.open(strange, os.O_CREAT, 0o600))) == ""
    for words in (
        ("audit", "verify"),
        ("users", "pin", HEARER, "--pin-file", str(secret), *home.as_admin()),
        ("keys", "rotate", *ian),
        ("keys", "rotate-accounts", *ian),
        ("export", recording, "-o", str(home.root / "copy.wav"), "--reason", "complaint 17", *home.as_hearer()),
    ):
        assert as_user(CONSOLE, lambda words=words: must(*words, *on)) == "", words  # type: ignore[misc]
    (made,) = home.root.glob(f"recordings/*/*/*/*/{recording}.rec")
    assert as_user(DAEMON, lambda: made.chmod(0o664)) == ""
    repaired = as_user(CONSOLE, lambda: must("fsck", "--repair", *on))
    assert f"{recording}.rec: its mode is 0664: others may open it" in repaired
    assert ("moved to lost+found" in repaired, ", 1 left" in repaired) == (True, True), repaired
    assert as_user(DAEMON, lambda: made.chmod(0o660)) == ""
    kept = home.root / "backup"
    assert as_user(CONSOLE, lambda: shutil.copytree(home.root / "private", kept)) == ""


@pytest.mark.skipif(not IS_ROOT, reason="becoming other users takes root")
@pytest.mark.skipif(not IS_READABLE, reason="other users cannot reach the sources: clone them elsewhere, as in /srv")
def test_a_call_is_recorded_by_one_user_and_played_by_another(folder: Path) -> None:
    with two_users(folder) as (lines, before):
        home, place = lines.home, Home(lines.home.root)
        home.live.close()
        home.live = httpx2.Client(
            transport=UnixTransport(place.socket), base_url="http://recorder", timeout=HANGS_S,
            event_hooks=home.live.event_hooks,
        )  # fmt: skip
        home.start()
        assert Path(f"/proc/{home.pid}").stat().st_uid in (0, DAEMON)  # root's: it is not dumpable
        assert f"Uid:\t{DAEMON}" in Path(f"/proc/{home.pid}/status").read_text()
        mounted = [line.split()[4:6] for line in Path(f"/proc/{home.pid}/mountinfo").read_text().splitlines()]
        rights = {path: options[:2] for path, options in mounted if path.startswith(str(home.root))}
        wanted = {str(home.root): "ro", **{f"{home.root}/{name}": "rw" for name in WRITTEN}}
        assert rights == (wanted if CAN_MOUNT else {})
        log = folder / "console.log"
        console = preloaded.start_as((CONSOLE, GROUP), ["console", "-C", str(home.root)], log)
        host, port = home.sip
        try:
            eventually(lambda: _answers(f"http://{host}:{port}"), "the console answers")
            recording = _one_call(lines)
            home.give_leave(recording)
            with Browser(f"http://{host}:{port}") as browser:
                browser.sign_in(ADMIN, PASSWORD)
                page = browser.get("/recordings").text
                assert (recording in page, before in page) == (True, True)
            with Browser(f"http://{host}:{port}") as browser:
                browser.sign_in(HEARER, PASSWORD)
                page = browser.submit(f"/recordings/{recording}/play").text
                (sound,) = set(re.findall(rf"/recordings/{recording}/audio/[\w-]+", page))
                heard = browser.get(sound)
                assert (heard.status_code, len(heard.content) > 8000) == (200, True), heard.text[:3000]
            make_more(home, recording)
            check_every_file(place.root)
        finally:
            console.terminate()
            assert console.wait(HANGS_S) in (0, -15), log.read_text()[-2000:]
        _check_what_the_daemon_may_not(place)


def _one_call(lines: Exchange) -> str:
    """Have a call with a pause that the console's key signs; returns the recording."""
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(1.0)
    paused = lines.home.act(f"/api/calls/{recording}/pause", by="bob")
    assert paused.status_code == 200, "signed by the key of the accounts' user"
    talk.talk_for(0.5)
    assert lines.home.act(f"/api/calls/{recording}/resume", by="bob").status_code == 200
    talk.talk_for(1.0)
    assert talk.hang_up()["outcome"] == "recorded"
    return recording


def _check_what_the_daemon_may_not(place: Home) -> None:
    def written() -> None:
        place.people.open("r+b").close()

    def journal() -> None:
        Path(f"{place.people}-journal").write_bytes(b"x")

    def replaced() -> None:
        place.people.rename(place.people.with_name("x"))

    def made_up() -> None:
        with httpx2.Client(transport=UnixTransport(place.socket), base_url="http://recorder") as client:
            answer = client.get("/api/calls", headers={"X-Recorder-Actor": "dora"})
            assert (answer.status_code, answer.json()["title"]) == (403, "Not signed"), answer.text

    for act in (place.people.read_bytes, written, journal, replaced, secret_path(place.root).read_bytes):
        assert "PermissionError" in as_user(DAEMON, act), act
    assert "PermissionError" in as_user(DAEMON, lambda: list(place.private_keys.iterdir()))
    assert "PermissionError" in as_user(DAEMON, place.accounts_key.read_bytes)
    assert as_user(DAEMON, made_up) == ""

    # a sweep, as the daemon's user runs it
    def swept() -> None:
        assert sweep_process.main(place.root) == sweep_process.DONE

    assert as_user(DAEMON, swept) == ""
    listens = re.search(r'\[console\]\nlisten = "(.*)"', place.config.read_text())
    assert listens is not None
    place.config.write_text(place.config.read_text().replace(listens[0], '[console]\nlisten = "off"'))
    assert as_user(DAEMON, swept) == "", "without a console there is nobody to sweep the accounts"
    assert AuditLog(place.audit).verify().bad is None

    # links to the accounts where the accounts' user, or root, opens files
    def laid() -> None:
        for lock in (place.erasing_lock, place.state / SWEEP_LOCK):
            lock.unlink()
        place.erasing_lock.symlink_to(place.people)
        (place.state / SWEEP_LOCK).symlink_to(f"{place.people}-journal")

    assert as_user(DAEMON, laid) == ""
    for lock in (place.erasing_lock, place.state / SWEEP_LOCK):
        for uid in (CONSOLE, 0):
            assert "remove it" in as_user(uid, lambda lock=lock: alone(lock).__enter__()), (lock, uid)  # type: ignore[misc]
    assert stat.S_IMODE(place.people.stat().st_mode) == 0o600
    assert "PermissionError" in as_user(DAEMON, place.people.read_bytes)
    assert not Path(f"{place.people}-journal").exists()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/sign-in").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.skipif(not IS_ROOT, reason="becoming other users takes root")
@pytest.mark.skipif(not IS_READABLE, reason="other users cannot reach the sources: clone them elsewhere, as in /srv")
def test_a_home_is_made_for_two_users_at_once(folder: Path) -> None:
    """As docs/operations.md has it: by the console's user, in a folder that the administrator made."""
    root, password = folder / "council-recorder", folder / "password"
    password.write_text(PASSWORD + "\n")
    root.mkdir(mode=0o700)
    os.chown(root, CONSOLE, CONSOLE)
    words = (
        "init", str(root), "--sip", "127.0.0.1:5077", "--next-hop", "127.0.0.1:5078", "--extension",
        "2001:alice:Revenues", "--admin", "founder", "--password-file", str(password), "--group", str(GROUP),
    )  # fmt: skip
    told = as_user(CONSOLE, lambda: must(*words), STRANGER)
    assert f"is not in group {GROUP}: run this as the console's user" in told
    assert list(root.iterdir()) == []
    assert as_user(CONSOLE, lambda: must(*words)) == ""
    home = Home(root)
    assert list(wrong_rights(home)) == []
    assert {one.level for one in check_folders(home)} == {Level.OK}
    assert home.index == home.common / "index.sqlite"
    daemon = rights_of_user(DAEMON, root)
    assert (daemon["recorder.toml"], daemon["people.sqlite"], daemon["private"]) == ("r", "", "")
    assert [entry.actor for entry in of_act(AuditLog(home.audit).path, "home.shared")] == [f"os:uid:{CONSOLE}"]
