"""Access requests, in the file of people: they outlive the index, which can be rebuilt."""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, insert, select, update

from recorder.access.database import from_s
from recorder.access.tables import requested, requests
from recorder.permissions import Person
from recorder.rules.requesting import AccessKind, AccessRequest, Category, RequestState, RequestWish, standing
from recorder.rules.spans import Spans, length_of, merged
from storage.types import RecordingId, RecordingRow

LISTED = 200
"""Most requests in a list."""


class Requests:
    """The access requests in a file of people; safe to use from several threads and processes.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def new(self, account: str, wish: RequestWish) -> AccessRequest:
        """Return a request with a new id, not stored yet: the audit log comes first."""
        return AccessRequest(id=secrets.token_hex(4), account=account, wish=wish, asked_at=self._now())

    def keep(self, request: AccessRequest) -> None:
        """Store a new request."""
        wish = request.wish
        row = {
            "id": request.id, "account": request.account, "category": str(wish.category), "reason": wish.reason,
            "leave": str(wish.leave), "reference": wish.reference, "asked_s": request.asked_at.timestamp(),
            "state": str(request.state), "words": "",
        }  # fmt: skip
        lines = [
            {"recording": recording, "request": request.id, "place": place, "spans": _written(request.heard(recording))}
            for place, recording in enumerate(wish.recordings)
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(requests).values(**row))
            connection.execute(insert(requested), lines)

    def get(self, request_id: str) -> AccessRequest | None:
        """Return a request, or None."""
        return next(iter(self._found(requests.c.id == request_id)), None)

    def waiting(self) -> list[AccessRequest]:
        """Return the undecided requests, oldest first, so that new ones push none out of the list."""
        return self._found(requests.c.state == str(RequestState.WAITING), order=requests.c.asked_s.asc())

    def decided_since(self, moment: datetime) -> list[AccessRequest]:
        """Return the requests decided since a moment, newest first."""
        return self._found(requests.c.decided_s >= moment.timestamp(), order=requests.c.decided_s.desc())

    def of_account(self, account: str) -> list[AccessRequest]:
        """Return an account's requests, newest first."""
        return self._found(requests.c.account == account)

    def of_recording(self, recording: RecordingId) -> list[AccessRequest]:
        """Return the requests for a recording, newest first."""
        asked = select(requested.c.request).where(requested.c.recording == recording)
        return self._found(requests.c.id.in_(asked))

    def newest(self) -> list[AccessRequest]:
        """Return everybody's requests, newest first."""
        return self._found()

    def settle(
        self,
        request: AccessRequest,
        state: RequestState,
        *,
        by: str,
        words: str = "",
        until: datetime | None = None,
        spans: Mapping[RecordingId, Spans] | None = None,
    ) -> bool:
        """Store a decision; False if another one was stored first.

        Args:
            request: The request.
            state: The decision.
            by: Account that decides.
            words: Their reason.
            until: When the grant ends.
            spans: The spans granted, by recording; a whole recording is not listed. None leaves those asked for.
        """
        values = {
            "state": str(state), "decided_by": by, "decided_s": self._now().timestamp(), "words": words,
            "until_s": until.timestamp() if until else None,
        }  # fmt: skip
        is_waiting = requests.c.state == str(RequestState.WAITING)
        with self._engine.begin() as connection:
            done = connection.execute(update(requests).where(requests.c.id == request.id, is_waiting).values(**values))
            if done.rowcount == 1 and spans is not None:
                for recording in request.wish.recordings:
                    mine = (requested.c.request == request.id) & (requested.c.recording == recording)
                    written = _written(spans.get(recording))
                    connection.execute(update(requested).where(mine).values(spans=written))
        return done.rowcount == 1

    def leave(
        self, person: Person, recording: RecordingId, wanted: AccessKind, row: RecordingRow | None
    ) -> AccessRequest | None:
        """Return the access grant by which a person may hear or copy a recording now, or None.

        It is judged by the roles and teams that they have now (`recorder.rules.requesting.standing`). Of several, the
        one that covers most of it, and of those the one that lasts longest.

        Args:
            person: Who.
            recording: What.
            wanted: The access they want.
            row: The recording's row. None if there is none: a person with a grant may know that it was deleted.
        """
        unjudged = self.granted(person.name, recording, wanted)
        judged = [one if row is None else standing(person, one, row) for one in unjudged]
        good = [one for one in judged if one is not None]

        def worth(request: AccessRequest) -> tuple[bool, int, datetime]:
            heard = request.heard(recording)
            return heard is None, length_of(heard or ()), request.until or self._now()

        return max(good, key=worth, default=None)

    def granted(self, account: str, recording: RecordingId, wanted: AccessKind) -> list[AccessRequest]:
        """Return the grants of an account for a recording whose time is not over, whatever its roles are now."""
        asked = select(requested.c.request).where(requested.c.recording == recording)
        found = self._found(requests.c.account == account, requests.c.id.in_(asked))
        return [request for request in found if request.gives(wanted, self._now()) and request.heard(recording) != ()]

    def has_ended(self, person: Person, row: RecordingRow, wanted: AccessKind) -> bool:
        """Tell whether a person has a grant that their roles or teams of now do not allow any more."""
        return self.leave(person, row.id, wanted, row) is None and bool(self.granted(person.name, row.id, wanted))

    def _found(self, *conditions: ColumnElement[bool], order: ColumnElement[Any] | None = None) -> list[AccessRequest]:
        by = requests.c.asked_s.desc() if order is None else order
        query = select(requests).where(*conditions).order_by(by, requests.c.id).limit(LISTED)
        with self._engine.begin() as connection:
            rows = connection.execute(query).mappings().all()
            lines = _recordings(connection, [row["id"] for row in rows])
        return [_request(row, lines.get(row["id"], {})) for row in rows]


def _written(spans: Spans | None) -> str | None:
    """Return spans as the table stores them; None for all of a recording."""
    return None if spans is None else json.dumps(spans)


def _recordings(connection: Connection, ids: Iterable[str]) -> dict[str, dict[RecordingId, Spans | None]]:
    """Return the recordings of requests, each with the spans that are asked for or granted."""
    query = select(requested).where(requested.c.request.in_([*ids])).order_by(requested.c.request, requested.c.place)
    found: dict[str, dict[RecordingId, Spans | None]] = {}
    for line in connection.execute(query).mappings():
        spans = None if line["spans"] is None else merged((start, end) for start, end in json.loads(line["spans"]))
        found.setdefault(line["request"], {})[RecordingId(line["recording"])] = spans
    return found


def _request(row: Any, recordings: Mapping[RecordingId, Spans | None]) -> AccessRequest:  # noqa: ANN401 - a RowMapping
    asked_at = from_s(row["asked_s"])
    assert asked_at is not None
    return AccessRequest(
        id=row["id"],
        account=row["account"],
        wish=RequestWish(
            recordings=tuple(recordings), category=Category(row["category"]), reason=row["reason"],
            leave=AccessKind(row["leave"]), reference=row["reference"],
        ),
        asked_at=asked_at,
        state=RequestState(row["state"]),
        decided_by=row["decided_by"],
        decided_at=from_s(row["decided_s"]),
        words=row["words"],
        until=from_s(row["until_s"]),
        spans={recording: spans for recording, spans in recordings.items() if spans is not None},
    )  # fmt: skip
