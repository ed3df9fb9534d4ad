"""The rights in a home that `recorder share` gave to a group: what it changes, and what site-check says of the rest."""

import os
import stat
from pathlib import Path, PurePath

import pytest

from recorder.common.home import Home
from recorder.common.system_user import group_name
from recorder.recordings.home_rights import wrong_rights
from recorder.service import home_check
from recorder.service.findings import Level
from recorder.service.home_check import check_folders
from recorder.service.home_sharing import SharingError, share
from recorder.site_keys import rotation
from recorder.site_keys.publishing import publish
from storage.audit import AuditLog
from storage.audit_reading import of_act
from storage.database import Database, sqlite_url
from storage.keys import NodeKeys
from tests.helpers.recorder_home import recorder_home
from tests.helpers.site_homes import KeyHolderHome

DAEMON, GROUP = 64_001, 64_003
IS_ROOT = os.geteuid() == 0


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


@pytest.mark.skipif(not IS_ROOT, reason="giving files to another group takes root")
def test_keys_of_a_site_follow_their_folder_and_secrets_do_not(tmp_path: Path) -> None:
    """A key holder with two users: the daemon's reads certificates and the key list, and no private key."""
    holder = KeyHolderHome(tmp_path)
    home = holder.home
    home.config.touch(mode=0o600)
    home.people.touch(mode=0o600)
    share(home, GROUP)
    holder.add(tmp_path, "north")
    database = Database(sqlite_url(home.index))
    publish(home, database)
    rotation.begin(home, database)
    names = {path.relative_to(home.root).as_posix() for path in (home.root / "keys").rglob("*.*")}
    made = {"keys/site/ca.pem", "keys/site/list.json", "keys/nodes/north.json", "keys/actor/actor.next.pub"}
    assert names > made
    assert [one.path for one in wrong_rights(home)] == []
    rotation.finish(home, database, note=lambda _: None)
    database.close()
    assert [one.path for one in wrong_rights(home)] == []
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.root.rglob("*") if path.is_file()}
    assert modes["list.json"] == modes["ca.pem"] == modes["revoked.pem"] == 0o640
    assert modes["site-ca.key"] == modes["console-tls.key"] == modes["actor.key"] == 0o600


def test_site_check_knows_a_shared_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.people.touch(mode=0o600)
    share(home, os.getegid())
    (found,) = [one for one in check_folders(home) if one.level is not Level.OK]
    assert ("keys/actor/actor.key, people.sqlite" in found.says, "chgrp" in found.do) == (True, True)
    home.people.chmod(0o640)
    (found, _) = [one for one in check_folders(home) if one.level is not Level.OK]
    assert f"people.sqlite (0640) to group {group_name(os.getegid())} (" in found.says
    home.people.chmod(0o604)
    (found, _) = [one for one in check_folders(home) if one.level is not Level.OK]
    assert "people.sqlite (0604) to everybody" in found.says
    home.people.chmod(0o600)
    home.config.touch(mode=0o600)
    (found, _) = [one for one in check_folders(home) if one.level is not Level.OK]
    assert ("recorder.toml (0600)" in found.says, found.level) == (True, Level.ERROR)


@pytest.mark.skipif(not IS_ROOT, reason="giving files to another group takes root")
def test_what_is_its_owners_alone_stays_in_its_own_group(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.people.touch(mode=0o600)
    home.private_keys.mkdir(mode=0o700)
    share(home, GROUP)
    assert {one.level for one in check_folders(home)} == {Level.OK}
    assert not list(wrong_rights(home))
    os.chown(home.private_keys, -1, GROUP)
    assert [one.path for one in wrong_rights(home) if one.is_given_away] == [PurePath("private")]
    home.config.touch(mode=0o640)
    os.chown(home.config, DAEMON, GROUP)
    assert [one.path for one in wrong_rights(home) if one.is_strangers] == [PurePath("recorder.toml")]
    os.chown(home.config, 0, GROUP)
    os.chown(home.private_keys, DAEMON, os.getegid())
    (found,) = [one for one in check_folders(home) if one.level is not Level.OK]
    assert (f"private (0700) of uid:{DAEMON}" in found.says, found.level) == (True, Level.ERROR)
    lock = home.state / "daemon.lock"
    os.chown(lock, DAEMON, GROUP)
    share(home, GROUP)
    assert {one.level for one in check_folders(home)} == {Level.OK}
    assert (home.private_keys.stat().st_uid, lock.stat().st_uid) == (0, DAEMON), "who made a shared file keeps it"


def test_a_home_is_shared_by_a_command_and_goes_on(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        assert "no group" in home.run("share", "nobody-has-this", "-C", str(home.root)).stderr
        for _ in range(2):
            home.recorder("share", str(os.getegid()), "-C", str(home.root))
        assert Home(home.root).index == home.root / "common" / "index.sqlite"
        assert home.json("find") == []
        assert len(list(of_act(AuditLog(home.root / "audit").path, "home.shared"))) == 2
        assert home.json("fsck")["findings"] == []


def test_site_check_names_more_members_than_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o700)
    share(home, os.getegid())
    members = ["council-console", "council-recorder", "mallory"]
    monkeypatch.setattr(home_check, "members_of", lambda _gid: members[:2])
    assert not [one for one in check_folders(home) if "members" in one.says]
    monkeypatch.setattr(home_check, "members_of", lambda _gid: members)
    (found,) = [one for one in check_folders(home) if "members" in one.says]
    assert ("3 members: council-console, council-recorder, mallory" in found.says, found.level) == (True, Level.WARNING)


def test_a_second_name_of_another_users_file_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o700)
    (state := home.state).mkdir(mode=0o700)
    (mine := tmp_path / "mine").write_text("kept by hard links, as some backups are")
    (state / "a").hardlink_to(mine)
    share(home, os.getegid())
    if IS_ROOT:
        (theirs := tmp_path / "theirs").write_text("x")
        os.chown(theirs, DAEMON, DAEMON)
        (state / "b").hardlink_to(theirs)
        with pytest.raises(SharingError, match="has a second name"):
            share(home, os.getegid())
        assert (theirs.stat().st_uid, theirs.stat().st_gid) == (DAEMON, DAEMON)


def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    (inner := home.state / "inner").mkdir(parents=True)
    (outside := tmp_path / "outside").mkdir()
    for name in ("a", "b"):
        (inner / name).touch(mode=0o600)
        (outside / name).touch(mode=0o600)

    def swap(_looked_at: int) -> None:
        """Do what a process of the daemon's user could do between two files of a folder."""
        if not inner.is_symlink() and any(one.stat().st_mode & stat.S_IRGRP for one in inner.iterdir()):
            inner.rename(home.state / "aside")
            inner.symlink_to(outside)

    share(home, os.getegid(), told=swap)
    assert inner.is_symlink()
    assert {stat.S_IMODE(one.stat().st_mode) for one in outside.iterdir()} == {0o600}


def test_a_second_name_of_the_accounts_opens_them_to_nobody(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.private_keys.mkdir(mode=0o700, parents=True)
    home.state.mkdir(mode=0o700)
    home.accounts_key.touch(mode=0o600)
    (home.state / "x").hardlink_to(home.accounts_key)
    with pytest.raises(SharingError, match=r"is a second name of"):
        share(home, os.getegid())
    assert stat.S_IMODE(home.accounts_key.stat().st_mode) == 0o600
