"""Backup to an object store, Ceph's gateway from Debian, and a restore from it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.backups.checking import BackupChecker
from recorder.backups.destinations import open_store
from recorder.backups.errors import BackupError
from recorder.backups.snapshots import Repository
from recorder.objects.s3_account import read_account
from recorder.objects.store import StoreError
from tests.helpers.backup_site import BackupSite
from tests.helpers.due_home import add_recording
from tests.helpers.radosgw import Gateway, radosgw
from tests.helpers.recorder_home import recorder_home
from tests.helpers.sweep_site import NOW

pytestmark = [pytest.mark.long, pytest.mark.peer]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with radosgw(tmp_path_factory.mktemp("radosgw")) as made:
        yield made


def test_a_site_is_restored_from_an_object_store_and_what_was_deleted_is_not_in_it(
    gateway: Gateway, tmp_path: Path
) -> None:
    site = BackupSite(tmp_path)
    account, url = gateway.account(tmp_path / "account.toml"), f"s3://{gateway.bucket}/site-1"
    store = open_store(url, account, site.home.state)
    repository = Repository(store, site.node.sign_public)
    with pytest.raises(BackupError, match=f"{url} holds no backup of this recorder"):
        site.back_up(store)
    repository.create(site.node, NOW)
    gone, erased, kept = (site.record(NOW - DAY) for _ in range(3))
    site.hold(kept, NOW)
    assert site.back_up(store).recordings == 3
    site.delete(gone)
    site.erase(erased)
    before = {key for key in store.keys("media") if erased in key}
    assert site.follow(store) == ""
    assert not [key for key in store.keys("media") if gone in key]
    after = {key for key in store.keys("media") if erased in key}
    assert (len(after), after & before) == (2, set())
    assert list(BackupChecker(repository).problems()) == []
    assert not list((site.home.state / "backup-staging").glob("*"))
    expected = site.everything()
    site.wipe()
    done = site.restore(store=store)
    assert (done.settled.problems, done.settled.verified) == ({}, 2)
    restored = BackupSite(tmp_path, name="restored")
    assert restored.everything() == expected
    assert len(restored.holds.keeping(kept, NOW)) == 1
    restored.close()
    key = next(key for key in store.keys("media") if kept in key)
    store.put(key, b"changed")
    (problem,) = BackupChecker(repository).problems()
    assert f"{url}/{key} was changed after the backup" in problem


def test_what_is_wrong_with_an_object_store_is_said(gateway: Gateway, tmp_path: Path) -> None:
    url, good = f"s3://{gateway.bucket}/site-2", gateway.account(tmp_path / "good.toml")
    wrong = gateway.account(tmp_path / "wrong.toml", secret="another")
    with pytest.raises(StoreError, match="refuses this account: check its keys"):
        open_store(url, wrong).put("index/a", b"")
    with pytest.raises(StoreError, match="there is no such bucket"):
        open_store("s3://nobody/x", good).put("index/a", b"")
    (tmp_path / "wrong.toml").write_text(good.read_text().replace(gateway.endpoint, "http://backup.example"))
    with pytest.raises(StoreError, match="endpoint must begin with https://"):
        read_account(tmp_path / "wrong.toml")
    good.chmod(0o644)
    with pytest.raises(StoreError, match="can be read by others: its mode must be 0600"):
        open_store(url, good)
    with pytest.raises(StoreError, match="needs the file of its account: give --s3-file FILE"):
        open_store(url, None)


def test_the_commands_take_an_object_store(gateway: Gateway, tmp_path: Path) -> None:
    account = str(gateway.account(tmp_path / "account.toml"))
    data, keys = (f"s3://{gateway.bucket}/{name}" for name in ("site-3", "keys-3"))
    with recorder_home(tmp_path, next_hop="127.0.0.1:5002", is_started=False) as home:
        add_recording(home, DAY, 1)
        home.edit('\ndestination = "off"', f'\ndestination = "{data}"')
        home.edit('keys_destination = "off"', f'keys_destination = "{keys}"')
        home.edit('s3_file = "off"', f's3_file = "{account}"')
        made = json.loads(home.recorder("backup", "--init", "-C", str(home.root), "--json"))
        assert (made["recordings"], made["keys_at"]) == (1, keys)
        assert json.loads(home.recorder("backups", "check", "-C", str(home.root), "--json"))["problems"] == []
        words = ("restore", data, "--keys", keys, "--s3-file", account, "-C", str(tmp_path / "new"))
        assert json.loads(home.recorder(*words, "--json"))["verified"] == 1
