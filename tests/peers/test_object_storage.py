"""Finished recordings in Ceph's object gateway from Debian, with versioning on: a real S3 server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.config.object_options import ObjectOptions
from recorder.config.settings import Config
from recorder.objects.elsewhere import ADVICE
from recorder.objects.names import container_key, folder_of
from recorder.objects.s3_account import read_account
from recorder.objects.s3_store import S3Store
from recorder.objects.store import Patience, StoreError
from recorder.recordings.inspection import Inspector
from recorder.service.object_check import check_objects
from storage.retention_types import ErasureState
from tests.helpers.object_site import DAY, ObjectSite
from tests.helpers.radosgw import Gateway, radosgw

pytestmark = [pytest.mark.long, pytest.mark.peer]
SHORT = Patience(connect_s=1.0, read_s=2.0, tries=1)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with radosgw(tmp_path_factory.mktemp("radosgw")) as made:
        yield made


def store_of(gateway: Gateway, folder: Path, name: str) -> S3Store:
    account = read_account(gateway.account(folder / "account.toml"))
    store = S3Store(
        f"s3://{gateway.bucket}/{name}", account, folder / "staging", advice=ADVICE, patience=SHORT
    )  # fmt: skip
    store._client.put_bucket_versioning(Bucket=gateway.bucket, VersioningConfiguration={"Status": "Enabled"})
    return store


def versions(store: S3Store, folder: str) -> int:
    return sum(1 for _ in store._bucket.versions(folder))


def test_a_recording_lives_and_dies_in_a_bucket_with_versions(gateway: Gateway, tmp_path: Path) -> None:
    store = store_of(gateway, tmp_path, "site-1")
    site = ObjectSite(tmp_path, store)
    gone, erased, kept = site.stored(3)
    said = site.audio(kept)
    assert site.round(8 * DAY).released == 3
    assert site.audio(kept) == said
    assert [one.problem for one in Inspector(vault=site.vault, index=site.index).all()] == [None] * 3
    folder = folder_of(site.row(gone).sha256 or "")
    store.put(container_key(site.row(gone).sha256 or ""), b"a newer version")
    store.remove(container_key(site.row(gone).sha256 or ""))
    assert versions(store, folder) == 4, "two versions, the mark that says removed, and the key"
    site.delete(gone)
    assert site.erase(erased).state is ErasureState.DONE
    done = site.round()
    assert (done.uploaded, set(done.gone.recordings), done.gone.versions) == (1, {gone, erased}, 6)
    assert versions(store, folder) == 0
    assert versions(store, "recordings") == 4, "container and key of two recordings"
    assert {one.problem for one in Inspector(vault=site.vault, index=site.index).all()} == {None}


def test_a_store_that_was_stopped_is_caught_up_with(tmp_path: Path) -> None:
    folder = tmp_path / "radosgw"
    folder.mkdir()
    with radosgw(folder) as first:
        store = store_of(first, tmp_path, "site")
        site = ObjectSite(tmp_path, store)
        (gone,) = site.stored()
    site.delete(gone)
    late = site.record(site.now - DAY)
    assert "does not answer or refuses (EndpointConnectionError)" in site.round().problem
    assert (site.objects.counts().waiting, site.objects.counts().removing, site.is_here(late)) == (1, 1, True)
    with radosgw(folder, port_of=first):
        done = site.round()
    assert (done.uploaded, done.gone.recordings, done.problem) == (1, [gone], "")


def test_site_check_tries_the_store_and_says_what_it_keeps(gateway: Gateway, tmp_path: Path) -> None:
    store = store_of(gateway, tmp_path, "site-3")
    account = tmp_path / "account.toml"
    config = Config(objects=ObjectOptions(url=store.name, s3_file=str(account)))
    site = ObjectSite(tmp_path)
    wrong_ranges, keeps = check_objects(site.home, config)
    # A fault of this gateway with its own database, 18.2: an object's part is taken from its beginning.
    assert "returns wrong parts of objects" in wrong_ranges.says
    assert keeps.says == f"{store.name} keeps versions; deletions remove all of them"
    assert versions(store, "trial") == 0
    gateway.account(account, secret="another")
    (refused,) = check_objects(site.home, config)
    assert "refuses this account: check its keys" in refused.says


def test_what_is_wrong_with_the_bucket_is_said(gateway: Gateway, tmp_path: Path) -> None:
    account = read_account(gateway.account(tmp_path / "account.toml"))
    nowhere = S3Store("s3://nobody/x", account, tmp_path, patience=SHORT)
    for act in (lambda: nowhere.put("a", b""), lambda: nowhere.get("a"), lambda: list(nowhere.keys("a"))):
        with pytest.raises(StoreError, match="there is no such bucket"):
            act()
    store = store_of(gateway, tmp_path, "site-4")
    store.put("folder/a", b"0123456789")
    assert store.get_range("folder/a", 0, 3) == b"012"
    assert store.get_range("folder/a", 10, 5) == b""
    assert (store.get_range("folder/b", 0, 5), store.size("folder/b"), store.get("folder/b")) == (None, None, None)
