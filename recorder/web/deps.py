"""What the console needs from the rest, as small protocols."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from recorder.access.accounts import People
from recorder.access.acknowledgements import Acknowledgements
from recorder.access.identities import ConnectedIdentities
from recorder.access.listening.repositories import AccessRepositories
from recorder.access.openid.provider import Provider
from recorder.access.proposals import Proposals
from recorder.access.second_factor import SecondFactors
from recorder.access.sessions import Sessions
from recorder.access.tokens import Tokens
from recorder.control.client import OptOutGrant
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.transcripts import Transcripts
from recorder.exports.copy_orders import CopyRepositories
from recorder.notifications.watch import WatchRepositories
from recorder.permissions import Actor, Person
from recorder.retention.eraser import Eraser
from recorder.retention.erasure_repositories import ErasureRepositories
from recorder.retention.hold_repositories import HoldRepositories
from recorder.retention.people_expiry import PeopleSweep
from recorder.rules.call_target import Target
from recorder.rules.limits import ConnectionLimits, Rates
from recorder.rules.live_access import Around
from recorder.rules.signing_in import SignInRules
from storage.types import RecordingRow, Search


class RecordingIndex(Protocol):
    """Finds recordings; blocks, safe from several threads."""

    def page(self, search: Search, /) -> tuple[Sequence[RecordingRow], int]:
        """Return one page, newest first, and how many match; more than are counted is `storage.index.COUNTED` + 1."""

    def get(self, id_or_prefix: str, /) -> RecordingRow:
        """Return one row; raises storage.errors.NotFoundError."""


class Audit(Protocol):
    """The audit log; ``append`` returns once the entry is durable, and raises when it cannot be."""

    def append(
        self, *, act: str, actor: str, subject: str, details: Mapping[str, Any] | None = None, text: str | None = None
    ) -> object:
        """Append one entry; ``text`` is free text that may expire."""


class Live(Protocol):
    """Live calls: `recorder.control.client.LiveClient`."""

    def calls(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the calls in progress."""

    def pause(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        """Pause one call, or every call of an extension."""

    def resume(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        """Resume one call, or every call of an extension."""

    def pause_retroactively(
        self, target: Target, *, person: Person, seconds: float | None, reason: str = ""
    ) -> dict[str, Any]:
        """Pause calls, and order their last seconds to be erased."""

    def second_message(self, target: Target, *, person: Person, reason: str = "") -> dict[str, Any]:
        """Have the second message played to the outside party of each call."""

    def opt_out(self, target: Target, *, person: Person, grant: OptOutGrant, around: Around) -> dict[str, Any]:
        """Stop recording one call for good."""

    def opt_outs(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the requests to opt out of the calls in progress."""

    def ask_opt_out(self, call: str, *, person: Person, reason: str = "") -> dict[str, Any]:
        """Ask that a call be recorded no longer."""

    def grant_opt_out(self, request: str, *, person: Person, grant: OptOutGrant, around: Around) -> dict[str, Any]:
        """Grant a request."""

    def decline_opt_out(self, request: str, *, person: Person, reason: str, around: Around) -> dict[str, Any]:
        """Decline a request."""

    def health(self) -> dict[str, Any]:
        """Return what the daemon says of itself."""

    def agents(self) -> list[dict[str, Any]]:
        """Return the nominated extensions, each with who is at it."""

    def takeovers(self) -> list[dict[str, Any]]:
        """Return who took a phone over from whom lately."""

    def sign_on(self, extension: str, *, person: Person, is_anothers: bool) -> dict[str, Any]:
        """Sign a person on at an extension, or return the code that they have to key there."""

    def sign_off(self, extension: str, *, person: Person) -> dict[str, Any]:
        """Sign a person off from an extension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFile:
    """A decoded copy; nothing of it touches a disk. ``suffix`` is that of its file name, without the dot."""

    media_type: str
    suffix: str
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleDeps:
    """Everything that the console is built on.

    Attributes:
        people: Accounts.
        tokens: Tokens of other systems.
        sessions: Signed-in browsers.
        managed: Returns the teams of which a manager is signed in.
        second_factors: Authenticators.
        acknowledgements: Who acknowledged that they were told of the recording.
        proposals: Changes to accounts that take two people.
        identities: Accounts that are connected to an OpenID provider.
        provider: The OpenID provider; None: people sign in with passwords only.
        sign_in: How people sign in.
        rates: How much one person or token may ask for.
        connection_limits: How many connections there may be, and how long they are waited for.
        index: Recordings.
        audit: The audit log.
        live: The daemon, with a time-out below 2 s: the page promises an answer within 2 s.
        events: Opens the daemon's server-sent events for an actor.
        beats: Opens the one that all pages share: it never is silent for long while the daemon lives.
        copy_books: What copies are made from and written down in.
        repos: Orders to erase: given and decided.
        hold_books: Holds: placed and released.
        eraser: Carries out orders to erase.
        people_sweep: Deletes what is due in the file of people.
        hearing: Requests to hear recordings.
        cases: Cases of subject access and disclosure.
        transcripts: Transcripts of recordings in cases.
        watch: What people are told of.
        notices: Returns every version of every message that callers hear, oldest first.
        row_json: Turns a row into JSON-able values: `storage.index.row_to_json`.
        site: Name of the council, shown on every page.
        timezone: IANA name of the zone that times are shown in.
        now: Returns the time, aware, UTC.
        is_tls: Whether browsers come by HTTPS; cookies are then marked so.
    """

    people: People
    tokens: Tokens
    sessions: Sessions
    managed: Callable[[], frozenset[str]]
    second_factors: SecondFactors
    acknowledgements: Acknowledgements
    proposals: Proposals
    identities: ConnectedIdentities
    provider: Provider | None
    sign_in: SignInRules
    rates: Rates
    connection_limits: ConnectionLimits
    index: RecordingIndex
    audit: Audit
    live: Live
    events: Callable[[str], AsyncGenerator[bytes]]
    beats: Callable[[], AsyncGenerator[bytes]]
    copy_books: CopyRepositories
    repos: ErasureRepositories
    hold_books: HoldRepositories
    eraser: Eraser
    people_sweep: PeopleSweep
    hearing: AccessRepositories
    cases: CaseRepositories
    transcripts: Transcripts
    watch: WatchRepositories
    notices: Callable[[], list[dict[str, Any]]]
    row_json: Callable[[RecordingRow], dict[str, Any]]
    site: str
    timezone: str
    now: Callable[[], datetime]
    is_tls: bool = False
