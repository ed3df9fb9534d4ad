"""Checks of `recorder site-check` on the object store: it is written, read back and removed there."""

import secrets
from collections.abc import Iterator

from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.config.store_urls import is_object_store
from recorder.objects.elsewhere import open_objects
from recorder.objects.object_file import RANGE_BYTES
from recorder.objects.store import Patience, RecordingStore, StoreError
from recorder.rules import times
from recorder.service.findings import Level, SiteFinding, ok, warning

_WHAT = "objects"
_PATIENCE = Patience(connect_s=3.0, read_s=5.0, tries=1)
_TRIAL = "trial"
_WHY = "recordings stay on this machine's disk alone until it is full"


def check_objects(home: Home, config: Config) -> Iterator[SiteFinding]:
    """Check that the store can be reached, and that objects can be written, read, listed and removed.

    An object is written and removed again. Versioning and locks are reported.
    """
    url = config.objects.url
    if url is None:
        return
    try:
        store = open_objects(config.objects, home.state, _PATIENCE)
        found = list(_trial(store))
        if is_object_store(url):
            found += _facts(store)
    except StoreError as error:
        yield warning(_WHAT, str(error), why=_WHY, do="correct [objects], then run `recorder site-check` again")
        return
    yield from found
    if all(one.level is Level.OK for one in found):
        yield ok(_WHAT, f"{url} takes recordings, returns them and removes them")


def _trial(store: RecordingStore) -> Iterator[SiteFinding]:
    folder, content = f"{_TRIAL}/{secrets.token_hex(8)}", secrets.token_bytes(64)
    key = f"{folder}/object"
    store.put(key, content)
    if store.get(key) != content:
        yield warning(
            _WHAT, f"{store.name} returns something else than was stored", why=_WHY,
            do="look at the store, and at what lies between",
        )  # fmt: skip
    elif store.get_range(key, 16, 16) != content[16:32]:
        yield warning(
            _WHAT, f"{store.name} returns wrong parts of objects (the header Range)",
            why=f"a recording of more than {RANGE_BYTES >> 20} MiB that is only there cannot be read",
            do="use another store or a newer version of it; until then set keep_local_days high enough",
        )  # fmt: skip
    left = store.remove_all(folder).left
    if left:
        until = "" if left[0].until is None else f" until {times.moment_utc(left[0].until)}"
        yield warning(
            _WHAT, f"{store.name} does not remove objects: {left[0].why}{until}",
            why="deleted recordings stay there, and health has an alarm as long",
            do="give the account s3:ListBucketVersions, s3:DeleteObjectVersion, s3:ListBucketMultipartUploads and "
            "s3:AbortMultipartUpload; take a default retention off the bucket",
        )  # fmt: skip


def _facts(store: RecordingStore) -> Iterator[SiteFinding]:
    facts = store.facts()
    if facts.lock is None or facts.has_versions is None:
        yield warning(
            _WHAT, f"{store.name}: this account may not ask about versions and locks",
            why="a lock would prevent deletions, and nobody would know before",
            do="give the account s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration",
        )  # fmt: skip
    elif facts.lock:
        yield warning(
            _WHAT, f"{store.name} has an object lock: {facts.lock}",
            why="a locked recording cannot be deleted when it is due, or when a person's claim is upheld",
            do="use a bucket without a lock, or one whose lock is shorter than every retention period",
        )  # fmt: skip
    elif facts.has_versions:
        yield ok(_WHAT, f"{store.name} keeps versions; deletions remove all of them")
