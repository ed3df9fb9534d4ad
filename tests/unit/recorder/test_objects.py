"""The object store's rules, answers of S3 in canned form, and what health says; tests/integration has the rest."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from recorder.common.home import Home
from recorder.config.object_options import ObjectOptions
from recorder.objects import names, rules
from recorder.objects.folder_store import FolderStore
from recorder.objects.object_file import RANGE_BYTES, ObjectFile, RangeCache
from recorder.objects.s3_account import StoreAccount, read_account
from recorder.objects.s3_store import S3Store
from recorder.objects.status import ObjectsHealth, ObjectsStatus, note_status
from recorder.objects.store import StoreError
from recorder.objects.work import ObjectWork, Round
from recorder.service.object_process import ObjectProcess
from storage.database import Database
from storage.errors import KeyProblemError
from storage.keys import SealedKeys
from storage.object_queries import ObjectCounts
from storage.objects import Objects
from storage.types import RecordingId

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHA = "ab" * 32


# --- rules and names


def test_names_have_the_digest_and_nothing_else() -> None:
    assert names.container_key(SHA) == f"recordings/ab/{SHA}/container.rec"
    assert names.key_key(SHA, "2026-11") == f"recordings/ab/{SHA}/keys/2026-11/sealed.key"
    assert names.epoch_in(names.key_key(SHA, "2026-11")) == "2026-11"
    assert names.digest_in(names.key_key(SHA, "2026-11")) == SHA
    assert names.newest_key(names.key_key(SHA, one) for one in ("2026-11.10", "2026-11.2", "..", "2026-10")) == (
        names.key_key(SHA, "2026-11.10"), "2026-11.10",
    )  # fmt: skip
    assert names.newest_key([names.key_key(SHA, "..")]) is None
    assert names.digest_in("recordings/ab/short/container.rec") is None


@pytest.mark.parametrize("wrong", ["..", ".", "", "2026-11.1", "2026-13", "2026-11\n", "٢٠٢٦-11", "2026-11.2.3", "x"])
def test_a_folder_that_is_no_epoch_is_none(wrong: str, tmp_path: Path) -> None:
    assert names.epoch_in(f"{names.keys_folder(SHA)}/{wrong}/sealed.key") is None
    with pytest.raises(KeyProblemError, match="not an epoch"):
        SealedKeys(tmp_path).restore(RecordingId("20261124T093000Z-2001-0a1b2c"), wrong, b"key")
    assert list(tmp_path.rglob("*.key")) == []


def test_pauses_double_up_to_twenty_seconds_and_differ() -> None:
    assert [rules.pause_s(n, 0.999999) for n in (1, 2, 3, 6, 60)] == pytest.approx([1, 2, 4, 20, 20], rel=1e-3)
    assert rules.pause_s(6, 0.0) == 10


def test_an_object_is_read_again_after_an_hour_and_when_the_clock_was_set_back() -> None:
    assert [rules.must_read_again(AT, AT + n * MINUTE) for n in (59, 60, -60)] == [False, True, True]


# --- the object as a file


def test_a_large_object_is_read_in_ranges_and_each_is_asked_for_once(tmp_path: Path) -> None:
    store, content = FolderStore(tmp_path), bytes(range(256)) * (RANGE_BYTES // 256) + b"the end"
    store.put("a", content)
    cache = RangeCache()
    assert ObjectFile(store, "a", cache).readall() == content
    store.put("a", b"changed")
    file = ObjectFile(store, "a", cache)
    file.seek(RANGE_BYTES - 2)
    assert file.read(4) == b"\xfe\xff"
    assert file.read(4) == b"the "
    assert (file.tell(), file.seek(0, 2)) == (RANGE_BYTES + 4, 7)


def test_the_cache_forgets_the_range_that_was_read_longest_ago() -> None:
    cache, asked = RangeCache(2), []

    def read(number: int) -> bytes:
        asked.append(number)
        return b"x"

    for number in (0, 1, 0, 2, 0, 1):
        cache.get("a", number, lambda number=number: read(number))  # type: ignore[misc]
    assert asked == [0, 1, 2, 1]


def test_an_object_that_is_not_there_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ObjectFile(FolderStore(tmp_path), "a", RangeCache()).read(1)


# --- answers of S3


def test_an_account_may_name_the_authority_of_its_store(tmp_path: Path) -> None:
    file, ca = tmp_path / "account.toml", tmp_path / "ca.pem"
    file.touch(mode=0o600)
    text = "endpoint = 'https://s3.example'\nregion = 'r'\naccess_key_id = 'k'\nsecret_access_key = 's'\n"
    file.write_text(text)
    assert read_account(file).ca is None
    file.write_text(f"{text}ca = '{ca}'\n")
    with pytest.raises(StoreError, match=r"ca .*ca\.pem is not a file"):
        read_account(file)
    ca.touch()
    store = S3Store("s3://bucket/site", read_account(file), tmp_path)
    assert store._client._endpoint.http_session._verify == str(ca)
    file.write_text(f"{text}sa = ''\n")
    with pytest.raises(StoreError, match="and nothing else"):
        read_account(file)


@pytest.fixture(scope="module")
def bucket() -> S3Store:
    account = StoreAccount(endpoint="https://s3.example", region="r", access_key_id="k", secret_access_key="s")
    return S3Store("s3://bucket/site", account, Path("/nowhere"))


@pytest.fixture
def s3(bucket: S3Store) -> Iterator[tuple[S3Store, Stubber]]:
    store = bucket
    with Stubber(store._client) as stub:
        yield store, stub
        stub.assert_no_pending_responses()


def version(key: str, number: str) -> dict[str, Any]:
    return {"Key": f"site/recordings/{key}", "VersionId": number}


def listed(stub: Stubber, *versions: dict[str, Any], marks: tuple[dict[str, Any], ...] = ()) -> None:
    stub.add_response(
        "list_object_versions",
        {"Versions": list(versions), "DeleteMarkers": list(marks), "IsTruncated": False},
        {"Bucket": "bucket", "Prefix": "site/recordings/"},
    )


def uploads(stub: Stubber, *found: str) -> None:
    stub.add_response(
        "list_multipart_uploads",
        {"Uploads": [{"Key": "site/recordings/a", "UploadId": one} for one in found], "IsTruncated": False},
        {"Bucket": "bucket", "Prefix": "site/recordings/"},
    )


def removes(stub: Stubber, one: dict[str, Any], code: str = "") -> None:
    expected = {"Bucket": "bucket", **one}
    if code:
        stub.add_client_error("delete_object", code, http_status_code=403, expected_params=expected)
    else:
        stub.add_response("delete_object", {}, expected)


def test_versions_marks_and_unfinished_uploads_are_removed_and_looked_for_again(
    s3: tuple[S3Store, Stubber],
) -> None:
    store, stub = s3
    first, second, mark = version("a", "1"), version("a", "2"), version("a", "3")
    uploads(stub, "u1")
    stub.add_response(
        "abort_multipart_upload", {}, {"Bucket": "bucket", "Key": "site/recordings/a", "UploadId": "u1"}
    )  # fmt: skip
    listed(stub, first, second, marks=(mark,))
    for one in (first, second, mark):
        removes(stub, one)
    listed(stub)
    uploads(stub)
    found = store.remove_all("recordings")
    assert (found.versions, found.left) == (3, ())


def test_a_version_under_a_lock_is_left_and_said_until_when(s3: tuple[S3Store, Stubber]) -> None:
    store, stub = s3
    locked, free = version("a", "1"), version("b", "1")
    until = datetime(2027, 1, 1, tzinfo=UTC)
    uploads(stub)
    listed(stub, locked, free)
    removes(stub, locked, "AccessDenied")
    removes(stub, free)
    listed(stub, locked)
    stub.add_response(
        "head_object", {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until},
        {"Bucket": "bucket", **locked},
    )  # fmt: skip
    uploads(stub)
    (left,) = store.remove_all("recordings").left
    assert (left.key, left.until, left.why) == ("recordings/a", until, "a lock of the store protects it")


def test_a_store_that_says_removed_and_lists_it_still_is_not_believed(s3: tuple[S3Store, Stubber]) -> None:
    store, stub = s3
    one = version("a", "1")
    uploads(stub)
    listed(stub, one)
    removes(stub, one)
    listed(stub, one)
    uploads(stub, "u1")
    assert [left.why for left in store.remove_all("recordings").left] == [
        "the store says that it removed it, and lists it still",
        "an unfinished upload is still there",
    ]


def test_an_account_without_the_right_to_delete_versions_is_said(s3: tuple[S3Store, Stubber]) -> None:
    store, stub = s3
    one = version("a", "1")
    uploads(stub)
    listed(stub, one)
    removes(stub, one, "AccessDenied")
    listed(stub, one)
    stub.add_response("head_object", {}, {"Bucket": "bucket", **one})
    uploads(stub)
    (left,) = store.remove_all("recordings").left
    assert left.why == "the store refuses to remove it (AccessDenied): check the account's rights"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDenied", "refuses this account: check its keys"),
        ("NoSuchBucket", "there is no such bucket"),
        ("QuotaExceeded", "is full (QuotaExceeded). Nothing was changed; free space there, or raise the quota"),
        ("SlowDown", "does not answer or refuses (SlowDown)"),
    ],
)
def test_what_the_store_answers_is_said_in_words(s3: tuple[S3Store, Stubber], code: str, said: str) -> None:
    store, stub = s3
    stub.add_client_error("put_object", code)
    with pytest.raises(StoreError) as caught:
        store.put("a", b"")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ""),
        ({"ObjectLockEnabled": "Enabled"}, "objects can be locked; new ones are not"),
        (
            {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}},
            },
            "new objects are locked for 30 days (compliance)",
        ),
    ],
)
def test_locks_of_the_bucket_are_said(s3: tuple[S3Store, Stubber], settings: dict[str, Any], said: str) -> None:
    store, stub = s3
    stub.add_response("get_bucket_versioning", {"Status": "Enabled"})
    stub.add_response("get_object_lock_configuration", {"ObjectLockConfiguration": settings})
    found = store.facts()
    assert (found.has_versions, found.lock) == (True, said)


def test_what_the_account_may_not_ask_is_not_known(s3: tuple[S3Store, Stubber]) -> None:
    store, stub = s3
    stub.add_client_error("get_bucket_versioning", "AccessDenied")
    stub.add_client_error("get_object_lock_configuration", "AccessDenied")
    found = store.facts()
    assert (found.has_versions, found.lock) == (None, None)


# --- health


class Health:
    def __init__(self, state: Path, url: str | None = "/mnt/recordings") -> None:
        self.state, self.now = state, AT
        self.health = ObjectsHealth(state=state, options=lambda: ObjectOptions(url=url), now=lambda: self.now)

    def note(self, **fields: Any) -> None:
        note_status(self.state, ObjectsStatus(at=self.now, counts=ObjectCounts(**fields)))

    def alarms(self, after: timedelta = timedelta()) -> dict[str, int]:
        self.now += after
        return dict(self.health.look()["alarms"])


def test_health_without_an_object_store(tmp_path: Path) -> None:
    assert Health(tmp_path, None).alarms(600 * MINUTE) == {}


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"at": 7}'])
def test_a_process_that_says_nothing_is_an_alarm(tmp_path: Path, content: bytes | None) -> None:
    health = Health(tmp_path)
    if content is not None:
        (tmp_path / "objects.json").write_bytes(content)
    assert health.alarms() == {}
    assert health.alarms(3 * MINUTE) == {"objects_behind": 1}


def test_recordings_that_wait_for_ten_minutes_are_an_alarm(tmp_path: Path) -> None:
    health, since = Health(tmp_path), AT
    health.now += 9 * MINUTE
    health.note(waiting=7, waiting_since=since)
    assert health.alarms() == {}
    health.now += MINUTE
    health.note(waiting=7, waiting_since=since)
    assert health.alarms() == {"objects_behind": 7}
    health.note()
    assert health.alarms() == {}


def test_deletions_that_wait_and_locks_are_alarms_of_their_own(tmp_path: Path) -> None:
    health, since = Health(tmp_path), AT
    health.now += 3 * MINUTE
    health.note(removing=3, removing_since=since, locked=2, locked_until=AT + timedelta(days=9))
    assert health.alarms() == {"objects_not_deleted": 1, "objects_locked": 2}
    health.note(removing=2, removing_since=since, locked=2, locked_until=AT + timedelta(days=9))
    assert health.alarms() == {"objects_locked": 2}


# --- the process


class Work:
    """Rounds that end as they are told to."""

    def __init__(self, *ends: Round | Exception) -> None:
        self.ends = list(ends)

    def round(self) -> Round:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


def test_no_fault_ends_the_process_and_the_status_says_which(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'index.sqlite'}")
    work: Any = Work(
        Round(uploaded=2, has_more=True), StoreError("the store is away"), KeyError("a fault of ours"),
        OSError(5, "the disk"), Round(uploaded=1),
    )  # fmt: skip
    opened: Iterator[ObjectWork] = iter([work])
    process = ObjectProcess(
        Home(tmp_path), lambda: next(opened), Objects(database), node="node", has_daemon=lambda: True
    )  # fmt: skip
    waits, said = [], []
    for _ in range(5):
        waits.append(process.step())
        said.append(json.loads((tmp_path / "state" / "objects.json").read_bytes()))
    database.close()
    assert waits[0] == 0.0, "there is more"
    assert 0.5 <= waits[1] <= 1 <= waits[2] <= 2 <= waits[3] <= 4
    assert waits[4] == rules.LOOK_S
    assert [one["problem"] for one in said] == [
        "", "the store is away", "internal error, KeyError; see the log", "[Errno 5] the disk", "",
    ]  # fmt: skip
    assert said[-1]["uploaded"] == 3
