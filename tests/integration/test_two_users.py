"""Daemon and console as two users of the operating system, in one home: who may do what there, and who may not.

Takes root, which the tests run as where they are run for every change. Without it, what follows from folders alone.
"""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from recorder.access.signing import secret_path
from recorder.common.home import Home
from recorder.recordings.home_rights import given_away
from recorder.recordings.resurrection_guard import LOCK as SWEEP_LOCK
from recorder.recordings.resurrection_guard import alone
from recorder.retention import sweep_process
from recorder.service.findings import Level
from recorder.service.home_check import check_folders
from recorder.service.home_sharing import share
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.database import Database, sqlite_url
from storage.keys import NodeKeys
from tests.helpers import preloaded
from tests.helpers.console_site import Browser
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import ADMIN, HEARER, PASSWORD, eventually, recorder_home
from tests.helpers.unix_transport import UnixTransport

DAEMON, CONSOLE, GROUP = 64_001, 64_002, 64_003
IS_ROOT = os.geteuid() == 0
IS_READABLE = all(folder.stat().st_mode & 0o001 for folder in (preloaded.ROOT, *preloaded.ROOT.parents))
"""Whether the other users can reach the sources and what is installed beside them."""
EDITS = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.3"))


def as_user(uid: int, act: Callable[[], object]) -> str:
    """Do something in a child that is another user of the group; return how it ended: "", or the error's name."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b""
        try:
            os.close(reading)
            preloaded.become(uid, GROUP)
            act()
        except BaseException as error:  # noqa: BLE001 - the parent looks
            said = f"{type(error).__name__}: {error}".encode()
        os.write(writing, said[:4000])
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
def two_users(folder: Path) -> Iterator[Exchange]:
    """A home of the console's user, shared with the daemon's, with phones and a daemon that is its own user."""
    with exchange(folder, edits=EDITS, is_started=False) as lines:
        home = lines.home
        host, port = home.sip
        home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "{host}:{port}"')
        for group in (CONSOLE, -1):  # as docs/operations.md has it: its own group, and then none
            for path in [home.root, *home.root.rglob("*")]:
                os.chown(path, CONSOLE, group)
                # chown(2) takes set-group-ID away from files only
            share(Home(home.root), GROUP)
        assert not list(given_away(Home(home.root)))
        home.user = (DAEMON, GROUP)
        yield lines


@pytest.mark.skipif(not IS_ROOT, reason="becoming other users takes root")
@pytest.mark.skipif(not IS_READABLE, reason="other users cannot reach the sources: clone them elsewhere, as in /srv")
def test_a_call_is_recorded_by_one_user_and_played_by_another(folder: Path) -> None:
    with two_users(folder) as lines:
        home, place = lines.home, Home(lines.home.root)
        home.live = httpx.Client(
            transport=UnixTransport(place.socket), base_url="http://recorder", timeout=5,
            event_hooks=home.live.event_hooks,
        )  # fmt: skip
        home.start()
        assert Path(f"/proc/{home.pid}").stat().st_uid in (0, DAEMON)  # root's: it is not dumpable
        assert f"Uid:\t{DAEMON}" in Path(f"/proc/{home.pid}/status").read_text()
        log = folder / "console.log"
        console = preloaded.start_as((CONSOLE, GROUP), ["console", "-C", str(home.root)], log)
        host, port = home.sip
        try:
            eventually(lambda: _answers(f"http://{host}:{port}"), "the console answers")
            talk = lines.call()
            recording = talk.join()
            talk.talk_for(1.0)
            paused = home.act(f"/api/calls/{recording}/pause", by="bob")
            assert paused.status_code == 200, "signed by the key of the accounts' user"
            talk.talk_for(0.5)
            assert home.act(f"/api/calls/{recording}/resume", by="bob").status_code == 200
            talk.talk_for(1.0)
            row = talk.hang_up()
            assert row["outcome"] == "recorded"
            home.give_leave(recording)
            with Browser(f"http://{host}:{port}") as browser:
                browser.sign_in(ADMIN, PASSWORD)
                assert recording in browser.get("/recordings").text
            with Browser(f"http://{host}:{port}") as browser:
                browser.sign_in(HEARER, PASSWORD)
                page = browser.submit(f"/recordings/{recording}/play").text
                (sound,) = set(re.findall(rf"/recordings/{recording}/audio/[\w-]+", page))
                heard = browser.get(sound)
                assert (heard.status_code, len(heard.content) > 8000) == (200, True), heard.text[:3000]
        finally:
            console.terminate()
            assert console.wait(20) in (0, -15), log.read_text()[-2000:]

        # what the daemon's user may not do
        def written() -> None:
            place.people.open("r+b").close()

        def journal() -> None:
            Path(f"{place.people}-journal").write_bytes(b"x")

        def replaced() -> None:
            place.people.rename(place.people.with_name("x"))

        def made_up() -> None:
            with httpx.Client(transport=UnixTransport(place.socket), base_url="http://recorder") as client:
                answer = client.get("/api/calls", headers={"X-Recorder-Actor": "dora"})
                assert (answer.status_code, answer.json()["title"]) == (403, "Not signed"), answer.text

        for act in (place.people.read_bytes, written, journal, replaced, secret_path(place.root).read_bytes):
            assert "PermissionError" in as_user(DAEMON, act), act
        assert "PermissionError" in as_user(DAEMON, lambda: list(place.private_keys.iterdir()))
        assert as_user(DAEMON, made_up) == ""

        # a sweep, as the daemon's user runs it
        def swept() -> None:
            assert sweep_process.main(place.root) == sweep_process.DONE

        assert as_user(DAEMON, swept) == ""
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
        return httpx.get(f"{url}/sign-in").status_code == 200
    except httpx.TransportError:
        return False


def test_what_is_new_follows_its_folder(tmp_path: Path) -> None:
    """Whatever the umask is; a folder that is not shared is its owner's alone."""
    (plain := tmp_path / "plain").mkdir()
    (shared := tmp_path / "shared").mkdir()
    (shared / "common").mkdir()
    plain.chmod(0o700)
    shared.chmod(0o2770)
    before = os.umask(0o077)
    try:
        for root, folders, files in ((plain, 0o700, 0o600), (shared, 0o2770, 0o660)):
            AuditLog(root / "audit").append(act="x", actor="y", subject="", details={}, text="why")
            database = Database(sqlite_url(root / "index.sqlite"))
            database.close()
            found = [path for path in root.rglob("*") if path.exists() and path.name != "common"]
            assert len(found) >= 4
            for path in found:
                assert stat.S_IMODE(path.stat().st_mode) == (folders if path.is_dir() else files), path
    finally:
        os.umask(before)


def test_secrets_stay_their_owners_in_a_shared_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.config.write_text("")
    NodeKeys.create(home.root)
    home.people.touch(mode=0o600)
    home.private_keys.mkdir(mode=0o700)
    for _ in range(2):
        share(home, os.getegid())
    modes = {str(path.relative_to(home.root)): stat.S_IMODE(path.stat().st_mode) for path in home.root.rglob("*")}
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o2750, "the daemon's user makes no file beside the accounts"
    assert modes["people.sqlite"] == modes["keys/actor/actor.key"] == 0o600
    assert modes["private"] == 0o700
    assert modes["keys/node/sign.key"] == modes["recorder.toml"] == 0o640
    assert modes["common"] == modes["state"] == modes["keys/sealed"] == 0o2770
    assert NodeKeys.load(home.root)
    assert home.index.parent == home.socket.parent == home.common


def test_site_check_knows_a_shared_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.people.touch(mode=0o600)
    share(home, os.getegid())
    (found,) = [one for one in check_folders(home) if one.level is not Level.OK]
    assert ("people.sqlite, keys/actor/actor.key" in found.says, "chgrp" in found.do) == (True, True)
    home.people.chmod(0o640)
    (found, _) = [one for one in check_folders(home) if one.level is not Level.OK]
    assert "people.sqlite (0640)" in found.says


@pytest.mark.skipif(not IS_ROOT, reason="giving files to another group takes root")
def test_what_is_its_owners_alone_stays_in_its_own_group(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.people.touch(mode=0o600)
    home.private_keys.mkdir(mode=0o700)
    share(home, GROUP)
    assert {one.level for one in check_folders(home)} == {Level.OK}
    assert not list(given_away(home))
    os.chown(home.private_keys, -1, GROUP)
    assert list(given_away(home)) == [home.private_keys]


def test_a_home_is_shared_by_a_command_and_goes_on(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        assert "no group" in home.run("share", "nobody-has-this", "-C", str(home.root)).stderr
        for _ in range(2):
            home.recorder("share", str(os.getegid()), "-C", str(home.root))
        assert Home(home.root).index == home.root / "common" / "index.sqlite"
        assert home.json("find") == []
        assert len(list(of_act(AuditLog(home.root / "audit").path, "home.shared"))) == 2
        assert home.json("fsck")["findings"] == []
