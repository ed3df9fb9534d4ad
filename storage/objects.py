"""The table of finished recordings that are in an object store, or on their way there, or to be removed from it.

An object is named by the digest of its container, so a rewritten recording is another object. A row is written before
the upload begins, and is deleted only when nothing of the object is left in the store. So whatever is in the store has
a row, also after a kill. Safe from any thread and from several processes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.object_queries import ObjectQueries, ObjectState
from storage.tables import microseconds
from storage.tables import objects as _objects
from storage.types import RecordingId, RecordingRow

_THERE = (ObjectState.WAITING, ObjectState.STORED)


class Objects(ObjectQueries):
    """The objects in one database: reads and changes them."""

    def add(self, rows: Iterable[RecordingRow], node: str, at: datetime) -> None:
        """Note that the files of recordings are to be uploaded, all or none, but for those that have an object."""
        with self.database.begin() as connection:
            for row in rows:
                _add(connection, row, node, at)

    def stored(self, sha256: str, key_epoch: str, at: datetime) -> bool:
        """Note that an object and its key were read back and are right.

        Returns:
            False if it must be removed meanwhile: its recording was deleted or rewritten.
        """
        values = {
            "state": str(ObjectState.STORED), "key_epoch": key_epoch, "is_key_old": 0, "stored_us": microseconds(at),
            "since_us": microseconds(at), "problem": "",
        }  # fmt: skip
        return self._update(sha256, values, only=(ObjectState.WAITING, ObjectState.STORED))

    def begin_parts(self, digest: str, recording: RecordingId, node: str, at: datetime) -> None:
        """Note that parts of a recording in progress will be stored under a name."""
        with self.database.begin() as connection:
            connection.execute(
                _objects.insert().values(
                    sha256=digest, recording=recording, node=node, state=str(ObjectState.PARTS), size=0,
                    since_us=microseconds(at), problem="", is_key_old=0,
                )
            )  # fmt: skip

    def grown(self, digest: str, size: int) -> None:
        """Note how many bytes of a recording in progress are stored in parts."""
        self._update(digest, {"size": size}, only=(ObjectState.PARTS,))

    def must_go(self, sha256: str, recording: RecordingId, node: str, at: datetime) -> None:
        """Note that whatever the store has under a name must be removed, whether it has a row or not."""
        with self.database.begin() as connection:
            if not _mark_removing(connection, _objects.c.sha256 == sha256, at):
                known = sa.select(_objects.c.sha256).where(_objects.c.sha256 == sha256)
                if connection.execute(known).first() is None:
                    connection.execute(
                        _objects.insert().values(
                            sha256=sha256, recording=recording, node=node, state=str(ObjectState.REMOVING), size=0,
                            since_us=microseconds(at), problem="", is_key_old=0,
                        )
                    )  # fmt: skip

    def note(self, sha256: str, problem: str, *, locked_until: datetime | None = None) -> None:
        """Note why the last try with an object failed."""
        until = None if locked_until is None else microseconds(locked_until)
        self._update(sha256, {"problem": problem, "locked_until_us": until})

    def released(self, sha256: str, at: datetime) -> None:
        """Note that the local file was removed."""
        self._update(sha256, {"released_us": microseconds(at)})

    def returned(self, sha256: str, node: str, at: datetime) -> None:
        """Note that a machine has the file again; it may stay there as long as a new one.

        A machine that has the file still stays noted: it must drop it when the recording is rewritten here.
        """
        is_free = sa.or_(_objects.c.released_us.is_not(None), _objects.c.node == node)
        values = {"released_us": None, "node": node, "stored_us": microseconds(at)}
        self._update(sha256, values, only=_THERE, when=is_free)

    def upload_again(self, sha256: str, problem: str, at: datetime) -> None:
        """Note that a stored object is missing or wrong in the store, and must be uploaded again."""
        values = {"state": str(ObjectState.WAITING), "since_us": microseconds(at), "stored_us": None,
                  "released_us": None, "problem": problem}  # fmt: skip
        self._update(sha256, values, only=(ObjectState.STORED,))

    def key_changed(self, recordings: Sequence[RecordingId]) -> None:
        """Note that the sealed keys of recordings are others now, and must be stored again."""
        with self.database.begin() as connection:
            for one in recordings:
                connection.execute(_objects.update().where(_objects.c.recording == one).values(is_key_old=1))

    def gone(self, sha256: str) -> bool:
        """Delete the row of an object of which nothing is left in the store.

        Returns:
            Whether there was one; another machine that removed the same object meanwhile has deleted it.
        """
        query = _objects.delete().where(_objects.c.sha256 == sha256, _objects.c.state == str(ObjectState.REMOVING))
        with self.database.begin() as connection:
            return connection.execute(query).rowcount > 0

    def _update(
        self, sha256: str, values: dict[str, Any], *, only: Sequence[ObjectState] = (),
        when: sa.ColumnElement[bool] | None = None,
    ) -> bool:  # fmt: skip
        query = _objects.update().where(_objects.c.sha256 == sha256).values(values)
        if when is not None:
            query = query.where(when)
        if only:
            query = query.where(_objects.c.state.in_([str(one) for one in only]))
        with self.database.begin() as connection:
            return connection.execute(query).rowcount > 0


def remove_objects_of(connection: sa.Connection, recordings: Sequence[RecordingId], at: datetime) -> None:
    """Note within a transaction that the objects of deleted recordings must be removed."""
    _mark_removing(connection, _objects.c.recording.in_(recordings), at)


def replace_object(connection: sa.Connection, before: str | None, row: RecordingRow, node: str, at: datetime) -> None:
    """Note within a transaction that a recording was rewritten: its former object must go, the new one be uploaded.

    A recording without an object gets none here. Safe to repeat.

    Args:
        connection: In the transaction that saves the row.
        before: Digest of the container before.
        row: The row now.
        node: Fingerprint of the machine that has the new file.
        at: Now.
    """
    former = sa.and_(_objects.c.recording == row.id, _objects.c.sha256 == before)
    if before != row.sha256 and _mark_removing(connection, former, at):
        _add(connection, row, node, at)


def _add(connection: sa.Connection, row: RecordingRow, node: str, at: datetime) -> None:
    assert row.sha256 is not None, "the recording has a container"
    if connection.execute(sa.select(_objects.c.sha256).where(_objects.c.sha256 == row.sha256)).first() is None:
        connection.execute(
            _objects.insert().values(
                sha256=row.sha256, recording=row.id, node=node, state=str(ObjectState.WAITING),
                size=row.bytes or 0, since_us=microseconds(at), problem="", is_key_old=0,
            )
        )  # fmt: skip


def _mark_removing(connection: sa.Connection, which: sa.ColumnElement[bool], at: datetime) -> int:
    removing = str(ObjectState.REMOVING)
    values = {"state": removing, "since_us": microseconds(at), "problem": ""}
    return connection.execute(_objects.update().where(which, _objects.c.state != removing).values(values)).rowcount
