"""What one of two users leaves in a folder of both, to be opened by the other one: links, second names, pipes."""

import ctypes
import json
import os
import platform
import sqlite3
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.common.home import Home
from recorder.recordings.home_rights import forbidden_in
from recorder.recordings.resurrection_guard import alone
from recorder.service.home_sharing import share
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.durable import AppendFile, make_folder
from storage.errors import AuditUnavailableError, DatabaseError, KeyProblemError
from storage.group_modes import file_mode, make_one_folder, open_file, refuse_link, touch
from storage.index_file import state_of
from storage.key_files import read_secret
from storage.keys import NodeKeys

_ARCHITECTURE, _CHMOD = {"x86_64": (0xC000003E, {90: 1, 91: 1, 268: 2}), "aarch64": (0xC00000B7, {52: 1, 53: 2})}[
    platform.machine()
]
"""Numbers of chmod(2), fchmod(2) and fchmodat(2), with the argument that is the mode."""
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001
_SUID_SGID = 0o6000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A shared home with accounts, which are their owner's alone."""
    made = Home(tmp_path / "home")
    made.root.mkdir()
    made.people.touch(mode=0o600)
    made.people.write_bytes(b"accounts")
    share(made, os.getegid())
    return made


def linked(path: Path, home: Home) -> None:
    path.symlink_to("../people.sqlite")


def linked_to_nothing(path: Path, home: Home) -> None:
    path.symlink_to("../people.sqlite-journal")


def second_name(path: Path, home: Home) -> None:
    path.hardlink_to(home.people)


def pipe(path: Path, home: Home) -> None:
    os.mkfifo(path)


def lock(path: Path) -> None:
    with alone(path):
        pass


@pytest.mark.parametrize("trap", [linked, linked_to_nothing, second_name, pipe])
@pytest.mark.parametrize(
    "opening", [lambda path: open_file(path, os.O_RDWR), touch, lock], ids=["open", "touch", "lock"]
)
def test_what_is_no_plain_file_is_not_opened(
    home: Home, trap: Callable[[Path, Home], None], opening: Callable[[Path], object]
) -> None:
    trap(home.state / "new.lock", home)
    with pytest.raises(OSError, match="remove it"):
        opening(home.state / "new.lock")
    assert (mode_of(home.people), home.people.read_bytes()) == (0o600, b"accounts")
    assert not Path(f"{home.people}-journal").exists()


def test_an_existing_file_keeps_its_mode(home: Home) -> None:
    (there := home.state / "there").touch()
    there.chmod(0o600)
    os.close(open_file(there, os.O_RDWR))
    touch(there)
    assert mode_of(there) == 0o600


def test_a_new_file_has_its_mode_before_anybody_opens_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the umask lets it: no second system call is between."""
    before = os.umask(0)
    try:
        monkeypatch.setattr(os, "fchmod", lambda *_: pytest.fail("a second step"))
        os.close(open_file(home.state / "new", os.O_RDWR))
    finally:
        os.umask(before)
    assert mode_of(home.state / "new") == 0o660


def test_a_new_name_stays_exclusive(home: Home) -> None:
    (home.state / "there").write_bytes(b"x")
    with pytest.raises(FileExistsError):
        AppendFile.create(home.state / "there")


def test_a_link_in_place_of_a_new_folder_changes_nothing_behind_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put there by the other user in the moment after it was made."""
    make = os.mkdir

    def made_and_replaced(path: Path, mode: int = 0o777) -> None:
        make(path, mode)
        Path(path).rmdir()
        Path(path).symlink_to(home.root)

    monkeypatch.setattr(os, "mkdir", made_and_replaced)
    before = os.umask(0o077)
    try:
        with pytest.raises(OSError, match="state/new"):
            make_one_folder(home.state / "new")
    finally:
        os.umask(before)
    assert mode_of(home.root) == 0o2750


def refuse_suid_sgid() -> None:
    """Have chmod(2) of this thread, and of what it starts, refuse set-user-ID and set-group-ID, as the units do."""
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _ARCHITECTURE), (_RETURN, 0, 0, _ALLOW)]
    for number, argument in _CHMOD.items():
        steps += [
            (_LOAD, 0, 0, 0),
            (_EQUAL, 0, 3, number),
            (_LOAD, 0, 0, 16 + 8 * argument),
            (_ANY_BIT, 0, 1, _SUID_SGID),
            (_RETURN, 0, 0, _REFUSE),
        ]
    steps.append((_RETURN, 0, 0, _ALLOW))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    described = struct.pack("H6xP", len(steps), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, described, 0, 0)):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "prctl")


def test_folders_of_both_users_are_made_under_the_units_filter(home: Home) -> None:
    """With `UMask=0077` too: the daemon's first call makes the folders of its year, month and day."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.umask(0o077)
            refuse_suid_sgid()
            with pytest.raises(PermissionError):
                home.state.chmod(0o2770)
            make_folder(home.recordings / "2026" / "12")
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {mode_of(path) for path in home.recordings.rglob("*")} == {0o2770}
    assert (home.recordings / "2026" / "12").stat().st_gid == home.recordings.stat().st_gid


def test_making_a_folder_leaves_the_umask_of_the_process(home: Home) -> None:
    before = os.umask(0o077)
    try:
        make_one_folder(home.state / "new")
        (home.state / "file").touch()
    finally:
        assert os.umask(before) == 0o077
    assert (mode_of(home.state / "new"), mode_of(home.state / "file")) == (0o2770, 0o600)


def test_sqlite_follows_no_link_to_the_accounts(home: Home) -> None:
    sqlite3.connect(other := home.root / "other.sqlite").executescript("CREATE TABLE t (x)").connection.close()
    before = other.read_bytes()
    log = AuditLog(home.audit)
    log.append("x", "y", "", {})
    (home.audit / "texts.sqlite").symlink_to(other)
    home.index.symlink_to(other)
    with pytest.raises(AuditUnavailableError, match="remove it"):
        log.append("x", "y", "", {}, "why")
    with pytest.raises(AuditUnavailableError, match="remove it"):
        log.verify()
    with pytest.raises(OSError, match="remove it"), log.texts.reading():
        pass
    assert len(list(log.entries())) == 1
    for opened in (lambda: Database(sqlite_url(home.index)), lambda: state_of(home.index)):
        with pytest.raises(DatabaseError, match="remove it"):
            opened()
    assert other.read_bytes() == before


def test_a_link_that_comes_later_is_not_followed_either(home: Home) -> None:
    database = Database(sqlite_url(home.index))
    database.close()
    home.index.rename(home.root / "other.sqlite")
    home.index.symlink_to("../other.sqlite")
    with pytest.raises(DatabaseError, match="remove it"), database.connect():
        pass


def test_only_a_home_that_was_shared_gives_its_group_rights(tmp_path: Path) -> None:
    """Others use set-group-ID on folders too: /srv is often one, or the folder of an administrators' group."""
    tmp_path.chmod(0o2775)
    make_folder(tmp_path / "home" / "state")
    assert (mode_of(tmp_path / "home") & 0o777, file_mode(tmp_path)) == (0o700, 0o600)
    (tmp_path / "common").mkdir()
    assert file_mode(tmp_path) == 0o660
    if os.geteuid() == 0:
        os.chown(tmp_path / "common", -1, 64_010)
        assert file_mode(tmp_path) == 0o600


@pytest.mark.parametrize("name", ["2026-11.key", "sip.password"])
def test_a_secret_is_its_owners_alone_in_a_shared_folder_too(home: Home, name: str) -> None:
    secret = home.state / name
    secret.write_bytes(json.dumps({"x": 1}).encode())
    secret.chmod(0o640)
    with pytest.raises(KeyProblemError, match="0600"):
        read_secret(secret)
    assert read_secret(secret, is_groups=True)


def test_node_keys_are_read_by_the_group_of_a_shared_home(home: Home) -> None:
    NodeKeys.create(home.root)
    assert mode_of(home.root / "keys" / "node" / "sign.key") == 0o640
    assert NodeKeys.load(home.root)


def test_the_folder_of_the_key_that_checks_stays_open_to_the_daemon(home: Home) -> None:
    actor = home.root / "keys" / "actor"
    may_not = {path.name: forbidden_in(home, path) for path in (actor, actor / "actor.pub", actor / "actor.key")}
    assert may_not == {"actor": 0o066, "actor.pub": 0o033, "actor.key": 0o077}
    assert forbidden_in(home, home.people) == forbidden_in(home, home.private_keys) == 0o077
    assert forbidden_in(home, home.state) == 0o007


def test_locks_are_there_once_a_home_is_shared(home: Home) -> None:
    names = ("state/holds.lock", "state/erasing.lock", "state/retention.lock", "state/agreement.lock",
             "state/daemon.lock", "common/index.sqlite-lock")  # fmt: skip
    assert {name: mode_of(home.root / name) for name in names} == dict.fromkeys(names, 0o660)


def test_a_folder_that_is_its_owners_alone_may_have_links(tmp_path: Path) -> None:
    """Backups by hard links give files second names, and somebody may have put a file on another disk."""
    first, second, link = tmp_path / "audit.log", tmp_path / "of-the-backup", tmp_path / "index.sqlite"
    first.write_bytes(b"kept")
    os.link(first, second)
    link.symlink_to(first)
    for path in (first, link):
        refuse_link(path)
        touch(path)
        descriptor = open_file(path, os.O_RDWR)
        assert os.read(descriptor, 9) == b"kept"
        os.close(descriptor)
