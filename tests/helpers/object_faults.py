"""What several tests of object storage ask of a site: faults of its store, and what checks say of it."""

from collections import Counter

from recorder.objects.checking import CheckedObjects, ObjectChecker
from recorder.objects.names import container_key
from recorder.recordings.fsck import Checker
from recorder.recordings.inspection import Inspector
from storage.types import RecordingId
from tests.helpers.object_site import ObjectSite


def problems_of(site: ObjectSite) -> dict[RecordingId, str | None]:
    return {one.id: one.problem for one in Inspector(vault=site.vault, index=site.index).all()}


def findings_of(site: ObjectSite) -> list[str]:
    checker = Checker(
        home=site.home, vault=site.vault, database=site.database, audit=site.audit, now=lambda: site.now,
        is_live=False, is_quick=False, counts=Counter(),
    )  # fmt: skip
    return [f"{one.kind}: {one.what}" for one in checker.findings() if one.kind not in ("restored", "order_not_in_log")]


def flip(site: ObjectSite, recording: RecordingId) -> None:
    """Change the last byte of an object."""
    path = site.dest / container_key(site.row(recording).sha256 or "")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def unmount(site: ObjectSite) -> None:
    """Unmount the share whose mount point is the store's folder."""
    site.dest.rename(site.dest.with_name("share"))
    site.dest.mkdir()


def mount(site: ObjectSite) -> None:
    site.dest.rename(site.dest.with_name("under the mount point"))
    site.dest.with_name("share").rename(site.dest)


def check(site: ObjectSite, **how: bool) -> CheckedObjects:
    return ObjectChecker(
        store=site.faulty, vault=site.vault, index=site.index, objects=site.objects, deletions=site.deletions,
        now=lambda: site.now, **how,
    ).check()  # fmt: skip
