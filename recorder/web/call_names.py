"""How pages name calls and accounts: by person and time, as far as the reader may know them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from recorder.permissions import Person
from recorder.recordings.searching import knows, shown
from recorder.rules import times
from recorder.rules.requesting import AccessKind
from recorder.web.deps import ConsoleDeps
from recorder.web.recording_title import title_of
from storage.errors import NotFoundError
from storage.format import is_recording_id
from storage.types import RecordingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class CallName:
    """A recording as a list names it.

    Attributes:
        id: The recording.
        text: Who spoke with whom, and when. The person who reads it may know no more than time and extension.
        is_known: Whether the person may open its page.
    """

    id: str
    text: str
    is_known: bool


class CallNames:
    """Names recordings and accounts for one person; each is looked up once."""

    def __init__(self, deps: ConsoleDeps, person: Person) -> None:
        self._deps = deps
        self._person = person
        self._zone = ZoneInfo(deps.timezone)
        self._calls: dict[str, CallName] = {}
        self._people: dict[str, str] = {}

    def call(self, recording: str) -> CallName:
        """Return the name of a recording."""
        if recording not in self._calls:
            self._calls[recording] = self._named(recording)
        return self._calls[recording]

    def calls(self, recordings: Iterable[str]) -> list[CallName]:
        """Return the names of recordings, in their order."""
        return [self.call(one) for one in recordings]

    def account(self, account: str | None) -> str:
        """Return the name to show for an account; an account that is gone keeps its own."""
        if not account:
            return ""
        if account not in self._people:
            found = self._deps.people.find(account)
            self._people[account] = found.display_name if found else account
        return self._people[account]

    def _named(self, recording: str) -> CallName:
        row = self._row(recording)
        if row is not None:
            leave = self._deps.hearing.requests.leave(self._person, row.id, AccessKind.LISTEN, row)
            if leave is not None or knows(self._person, row):
                text = title_of(shown(self._person, row, leave), self._zone)
                return CallName(id=recording, text=text, is_known=True)
        return CallName(id=recording, text=name_of_id(recording, self._zone), is_known=False)

    def _row(self, recording: str) -> RecordingRow | None:
        try:
            return self._deps.index.get(recording) if is_recording_id(recording) else None
        except NotFoundError:
            return None


def name_of_id(recording: str, zone: ZoneInfo) -> str:
    """Return what an id says of its call, its time and extension; anything else as it is."""
    if not is_recording_id(recording):
        return recording
    began, extension, _ = recording.split("-", 2)
    at = datetime.strptime(began, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return f"Call at extension {extension}, {times.moment(at, zone)}"
