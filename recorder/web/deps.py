"""What the console needs from the other packages, as small protocols."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from recorder.audit.copies import SiteLog
from recorder.calls.notices import NoticeStore
from recorder.control.client import OptOutGrant
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.transcripts import Transcripts
from recorder.exports.copy_orders import CopyRepositories
from recorder.notifications.watch import WatchRepositories
from recorder.permissions import Actor, Person
from recorder.retention.console_sweep import PeopleSweep
from recorder.retention.eraser import Eraser
from recorder.retention.erasure_repositories import ErasureRepositories
from recorder.retention.hold_repositories import HoldRepositories
from recorder.rules.call_target import Target
from recorder.rules.limits import ConnectionLimits, Rates
from recorder.rules.live_access import Around
from recorder.rules.signing_in import SignInRules
from recorder.web.console_tallies import ConsoleTallies
from storage.types import Outcome, RecordingRow, Search


class RecordingIndex(Protocol):
    """Finds recordings; blocks, safe from several threads."""

    def find(self, search: Search, /) -> Sequence[RecordingRow]:
        """Return one page, newest first."""

    def page_of_recordings(
        self, search: Search, recorded: Sequence[Outcome], /
    ) -> tuple[Sequence[RecordingRow], int, int]:
        """Return one page, newest first, the number of matches, and how many of these have one of some outcomes.

        Both are counted up to `storage.index.COUNTED` + 1.
        """

    def get(self, id_or_prefix: str, /) -> RecordingRow:
        """Return one row; raises storage.errors.NotFoundError."""

    def each(self, search: Search, /) -> Iterator[RecordingRow]:
        """Yield every row that matches, newest first."""

    def count(self, search: Search, /, *, at_most: int | None = None) -> int:
        """Return how many rows match, counted no further than ``at_most``."""


class Audit(Protocol):
    """The audit log; ``append`` returns once the entry is durable, and raises if it cannot be."""

    def append(
        self, *, act: str, actor: str, subject: str, details: Mapping[str, Any] | None = None, text: str | None = None
    ) -> object:
        """Append one entry; ``text`` is free text that may expire."""


class Live(Protocol):
    """Live calls; `recorder.control.client.LiveClient` in production, or `recorder.control.site_calls.SiteCalls`."""

    def calls(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the live calls."""

    def pause(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        """Pause one call, or all calls of an extension."""

    def resume(self, target: Target, *, actor: Actor, reason: str = "") -> dict[str, Any]:
        """Resume one call, or all calls of an extension."""

    def pause_retroactively(
        self, target: Target, *, person: Person, seconds: float | None, reason: str = ""
    ) -> dict[str, Any]:
        """Pause calls, and order their last seconds to be erased."""

    def second_message(self, target: Target, *, person: Person, reason: str = "") -> dict[str, Any]:
        """Play the second message to the outside party of each call."""

    def opt_out(self, target: Target, *, person: Person, grant: OptOutGrant, around: Around) -> dict[str, Any]:
        """Stop recording for the rest of one call."""

    def opt_outs(self, *, actor: str = "") -> list[dict[str, Any]]:
        """Return the opt-out requests of live calls."""

    def ask_opt_out(self, call: str, *, person: Person, reason: str = "") -> dict[str, Any]:
        """Raise an opt-out request."""

    def grant_opt_out(self, request: str, *, person: Person, grant: OptOutGrant, around: Around) -> dict[str, Any]:
        """Grant an opt-out request."""

    def decline_opt_out(self, request: str, *, person: Person, reason: str, around: Around) -> dict[str, Any]:
        """Decline an opt-out request."""

    def health(self) -> dict[str, Any]:
        """Return the daemon's health report."""

    def acknowledge_alarm(self, alarm: str, *, person: Person, remark: str, hours: float) -> dict[str, Any]:
        """Acknowledge an alarm of the daemon."""

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes of a site with several recorders; empty on a site with one."""

    def drain_state(self) -> dict[str, Any]:
        """Return whether the daemon refuses new calls."""

    def agents(self) -> list[dict[str, Any]]:
        """Return the nominated extensions, each with the officer who is signed on."""

    def takeovers(self) -> list[dict[str, Any]]:
        """Return recent sign-ons at a phone where another officer was signed on."""

    def sign_on(self, extension: str, *, person: Person, is_anothers: bool) -> dict[str, Any]:
        """Sign a person on at an extension, or return the code to key there."""

    def sign_off(self, extension: str, *, person: Person) -> dict[str, Any]:
        """Sign a person off from an extension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFile:
    """A decoded copy as a stream, never on disk; ``suffix`` is that of its file name, without the dot."""

    media_type: str
    suffix: str
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleDeps:
    """Everything that the console is built on.

    Attributes:
        people: Accounts.
        tokens: Tokens of other systems.
        sessions: Sessions of browsers.
        managed: Returns the teams with a manager who is signed in.
        second_factors: Authenticators.
        acknowledgements: Officers' acknowledgements that their calls are recorded.
        proposals: Changes to accounts that need two people.
        identities: Accounts' identities at the OpenID provider.
        provider: The OpenID provider; None if people sign in with passwords only.
        sign_in: Rules for signing in.
        rates: Rate limits of one person or token.
        connection_limits: Limits and timeouts of connections.
        index: Recordings.
        audit: The audit log.
        live: The daemon, with a timeout below 2 s: the page promises an answer within 2 s.
        events: Opens the daemon's server-sent events for an actor.
        beats: Opens the stream that all pages share, with regular beats while the daemon runs.
        copy_repositories: Repositories for copies.
        repos: Repositories for orders to erase.
        hold_repositories: Repositories for legal holds.
        eraser: Carries out orders to erase.
        people_sweep: Deletes what is due in the accounts database.
        hearing: Repositories for access requests.
        cases: Repositories for cases of subject access and disclosure.
        transcripts: Transcripts of recordings in cases.
        watch: Stored state that notifications are derived from.
        notices: The messages to callers.
        row_json: Turns a row into JSON-able values: `recorder.recordings.lengths.row_with_lengths`.
        site: Name of the council, shown on every page.
        services: Names of the configured services.
        colour: The council's colour, #rrggbb.
        timezone: IANA name of the time zone of the pages.
        now: Returns the current time, aware, UTC.
        is_tls: Whether browsers use HTTPS; cookies are then marked secure.
        search_by_post: Whether searches are sent as forms, so that browsers' histories have no numbers.
        tallies: Counts and measures for the metrics.
        alarms: Alarms that the console has raised since its start, by name.
        site_log: The audit logs of all machines; None if they share no database.
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
    copy_repositories: CopyRepositories
    repos: ErasureRepositories
    hold_repositories: HoldRepositories
    eraser: Eraser
    people_sweep: PeopleSweep
    hearing: AccessRepositories
    cases: CaseRepositories
    transcripts: Transcripts
    watch: WatchRepositories
    notices: NoticeStore
    row_json: Callable[[RecordingRow], dict[str, Any]]
    site: str
    timezone: str
    now: Callable[[], datetime]
    services: tuple[str, ...] = ()
    colour: str = "#0b0c0c"
    is_tls: bool = False
    search_by_post: bool = False
    tallies: ConsoleTallies = field(default_factory=ConsoleTallies)
    alarms: dict[str, int] = field(default_factory=dict)
    site_log: SiteLog | None = None
