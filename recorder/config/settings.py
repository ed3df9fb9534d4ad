"""The settings: a dataclass for each section of the file.

The file that `recorder init` writes says what each key is for, with its unit and default
(`recorder.config.config_file`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import cached_property
from typing import Annotated

from annotated_types import Ge, Interval, Le

from audio.types import MOST_LOOK_BACK_S, MediaIo
from recorder.common.logs import LogFormat
from recorder.common.ranges import AtLeastOne, NotNegative, OverZero
from recorder.config.anchor_options import AnchorOptions
from recorder.config.backup_options import BackupOptions
from recorder.config.call_record_options import CallRecordsOptions
from recorder.config.mail_options import MailOptions
from recorder.config.metrics_options import MetricsOptions
from recorder.config.node_options import NodeOptions
from recorder.config.object_options import ObjectOptions
from recorder.config.openid_options import OpenIdOptions
from recorder.config.selftest_options import SelfTestOptions
from recorder.config.sip_accounts import RegisterOptions
from recorder.config.syslog_options import SyslogOptions
from recorder.config.webhook_options import WebhookOptions
from recorder.rules.availability import DiskRule
from recorder.rules.limits import ConnectionLimits, Rates
from recorder.rules.notice_schedule import DEFAULT_LANGUAGE, language_problem
from recorder.rules.notice_template import DEFAULT_REASONS, RecordingReason
from recorder.rules.policy import Extension, Service
from recorder.rules.retention_periods import periods
from recorder.rules.retention_schedule import SCHEDULE, DataClass
from recorder.rules.routing import EmergencyNumbers, Peer, Route
from recorder.rules.signing_in import SecondFactor, SessionLimits, SignInRules
from recorder.rules.transfer_targets import TransferRules
from recorder.rules.weekly import review_day
from recorder.rules.written_numbers import without_separators
from sip.options import Address
from storage.types import ArchiveFormat

SIP_LISTEN = Address(host="127.0.0.1", port=5060)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The site of the recorder.

    Attributes:
        colour: Of the pages' header, #rrggbb; white text on it has a contrast of at least 4.5:1.
    """

    name: str = "Recorder"
    colour: str = "#0b0c0c"
    timezone: str = "Europe/London"
    policy_reviewed_on: str | None = None

    @property
    def policy_review_on(self) -> date | None:
        """Return the day of the policy's next review; None if the last one is not configured."""
        return review_day(date.fromisoformat(self.policy_reviewed_on) if self.policy_reviewed_on else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sip:
    """SIP addresses and timers."""

    listen: Address = SIP_LISTEN
    listen_tcp: Address | None = None
    listen_tls: Address | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None
    advertised: Address | None = None
    no_reply_s: OverZero = 2.0
    watch_every_s: OverZero = 10.0
    session_expires_s: int | None = 1800
    min_session_s: AtLeastOne = 90
    name_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """Ports and threads of the media core."""

    address: str = ""
    advertised: str | None = None
    ports: tuple[int, int] = (30000, 33999)
    threads: AtLeastOne = 1
    lock_memory: bool = True
    detect_tones: bool = True
    dead_rtp_s: OverZero = 10.0
    gather_ms: Annotated[float, Interval(ge=0, le=10)] = 2.0
    io: MediaIo = MediaIo.EPOLL
    kernel_interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The messages that are played.

    Attributes:
        first: Name of the notice.
        second: Name of the second message, or None.
        second_key: The caller's key for it.
        languages: Tags of the languages in which callers hear each message, one after the other.
        reasons: Why calls are recorded, for the template of the messages.
        privacy_page: Where the privacy notice is, for the template; None if it is not said.
    """

    first: str = "first"
    second: str | None = "second"
    second_key: str = "1"
    languages: tuple[str, ...] = (DEFAULT_LANGUAGE,)
    reasons: tuple[RecordingReason, ...] = DEFAULT_REASONS
    privacy_page: str | None = None

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key that cannot be used, with a sentence; None if all can."""
        if not self.languages:
            return "languages", 'languages is empty: write the languages of the messages, ["en"] or ["en", "cy"]'
        if not self.reasons:
            return "reasons", "reasons is empty: callers are told why calls are recorded"
        found = language_problem(self.languages)
        return None if found is None else ("languages", found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Settings of pauses."""

    look_back_s: Annotated[float, Le(MOST_LOOK_BACK_S)] = 5.0
    erase_s: float = 3.0
    pause_keys: str = "*1"
    """The default of old files without this key, which must not change. `init` writes other keys."""
    resume_keys: str = "*2"
    manager_keys: str | None = None
    max_s: OverZero = 600.0
    reminder_s: OverZero | None = 60.0
    forgot_s: OverZero = 300.0
    alone_day_s: OverZero = 900.0
    card_digits: AtLeastOne = 4
    card_window_s: OverZero = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Locations of recordings, index and accounts. URLs may contain a password."""

    index_url: str | None = field(default=None, repr=False)
    accounts_url: str | None = field(default=None, repr=False)
    private_keys: str | None = None
    passphrase_file: str | None = None
    verify_days: AtLeastOne = 30
    """Days within which `recorder recordings verify --due`, run each night, reads every recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Retention periods and settings of the sweep; the defaults are the schedule's."""

    retention_days: AtLeastOne = SCHEDULE[DataClass.RECORDINGS].days
    unrecorded_days: AtLeastOne = SCHEDULE[DataClass.UNRECORDED].days
    text_days: AtLeastOne = SCHEDULE[DataClass.TEXTS].days
    decision_days: AtLeastOne = SCHEDULE[DataClass.DECISIONS].days
    request_days: AtLeastOne = SCHEDULE[DataClass.REQUESTS].days
    case_days: AtLeastOne = SCHEDULE[DataClass.CASES].days
    access_days: AtLeastOne = SCHEDULE[DataClass.ACCESS].days
    torn_days: AtLeastOne = SCHEDULE[DataClass.TORN].days
    delivery_days: AtLeastOne = SCHEDULE[DataClass.DELIVERIES].days
    call_record_days: AtLeastOne = SCHEDULE[DataClass.CALL_RECORDS].days
    assurance_days: AtLeastOne = SCHEDULE[DataClass.ASSURANCE].days
    tombstone_days: AtLeastOne = SCHEDULE[DataClass.TOMBSTONES].days
    most_share_a_day: Annotated[float, Interval(gt=0, le=100)] = 5.0
    sweep_at: str = "03:00"

    @property
    def days(self) -> dict[str, int]:
        """Return the days of every class of data by its key."""
        return {line.key: getattr(self, line.key) for line in SCHEDULE.values()}

    @property
    def sweep_time(self) -> time:
        """Return the time of day of the sweep."""
        return time.fromisoformat(self.sweep_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssuranceOptions:
    """Which calls are compared with the recordings.

    Attributes:
        internal_calls: Calls between two people inside pass the recorder, so they are expected too.
    """

    internal_calls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """When the key holder archives finished recordings, and in which format; None for never."""

    after_days: AtLeastOne | None = None
    format: ArchiveFormat = ArchiveFormat.FLAC


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The console's address, None for no console; and how people sign in, to the console and in the shell."""

    listen: Address | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    behind_tls_proxy: bool = False
    second_factor: SecondFactor = SecondFactor.REQUIRED
    idle_minutes: OverZero = 30.0
    longest_hours: OverZero = 12.0
    requests_per_s: OverZero = 20.0
    acts_per_s: OverZero = 20.0
    max_connections: Annotated[int, Ge(16)] = 1000
    max_connections_per_address: Annotated[int, Ge(4)] = 100
    max_requests_per_session: Annotated[int, Ge(8)] = 50
    header_s: OverZero = 10.0
    body_s: OverZero = 30.0
    search_by_post: bool = False

    @property
    def connection_limits(self) -> ConnectionLimits:
        """Return the limits on connections. Behind a proxy all have its address, so that limit is off."""
        return ConnectionLimits(
            most=self.max_connections,
            most_per_address=None if self.behind_tls_proxy else self.max_connections_per_address,
            most_per_session=self.max_requests_per_session,
            header_s=self.header_s,
            body_s=self.body_s,
        )

    @property
    def rates(self) -> Rates:
        """Return the rate limits of one person or token."""
        return Rates(requests_per_s=self.requests_per_s, acts_per_s=self.acts_per_s)

    @property
    def tls(self) -> tuple[str, str] | None:
        """Return the files of the certificate and its key, or None for plain HTTP."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return self.tls_certificate, self.tls_key

    @property
    def is_https(self) -> bool:
        """Tell whether browsers use HTTPS."""
        return self.tls is not None or self.behind_tls_proxy

    @property
    def url(self) -> str:
        """Return the listening address as a URL."""
        return f"{'http' if self.tls is None else 'https'}://{self.listen}"

    @property
    def sign_in(self) -> SignInRules:
        """Return how people sign in."""
        idle, longest = timedelta(minutes=self.idle_minutes), timedelta(hours=self.longest_hours)
        return SignInRules(second_factor=self.second_factor, limits=SessionLimits(idle=idle, longest=longest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail:
    """How mailboxes are recognised."""

    numbers: tuple[str, ...] = ()
    after_s: OverZero | None = None

    def has(self, number: str) -> bool:
        """Tell whether a number, in any spelling, is a mailbox's."""
        return without_separators(number) in map(without_separators, self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnRules:
    """How officers sign on at a phone that is not configured as theirs."""

    keys: str | None = "*7"
    """Keys of the officer's phone, followed by a code and #, which prove who is there."""
    hours: float = 12.0
    """How long a sign-on lasts: longer than a shift, but ending before the next."""

    @property
    def lasts(self) -> timedelta:
        """Return ``hours`` as a duration."""
        return timedelta(hours=self.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How daemon, console and sweep write their logs."""

    format: LogFormat = LogFormat.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How the daemon stops taking calls before it leaves."""

    limit_s: Annotated[float, Interval(ge=0, le=86_400)] = 600.0
    """How long a stop waits for the calls in progress; 0 ends them at once."""
    refuse_options: bool = True
    """Whether OPTIONS are answered 503 meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the machine."""

    max_calls: AtLeastOne = 1000
    max_passed: AtLeastOne = 5000
    refuse_options: bool = False
    """Whether OPTIONS are answered 503 while ``max_calls`` is reached."""
    when_disk_fails: DiskRule = DiskRule.TAKE
    warn_disk_days: NotNegative = 7
    """Days for which the disk's free space should last at the present rate; else there is an alarm. 0 for none."""
    max_connections: AtLeastOne = 500
    max_connections_per_source: AtLeastOne = 200


@dataclass(frozen=True, kw_only=True)  # without slots: a cached property needs room
class Config:
    """The whole file."""

    site: Site = field(default_factory=Site)
    sip: Sip = field(default_factory=Sip)
    peer: tuple[Peer, ...] = ()
    route: tuple[Route, ...] = ()
    register: tuple[RegisterOptions, ...] = ()
    emergency: EmergencyNumbers = field(default_factory=EmergencyNumbers)
    transfers: TransferRules = field(default_factory=TransferRules)
    media: MediaSettings = field(default_factory=MediaSettings)
    notice: Notice = field(default_factory=Notice)
    service: tuple[Service, ...] = ()
    extension: tuple[Extension, ...] = ()
    pause: Pause = field(default_factory=Pause)
    storage: Storage = field(default_factory=Storage)
    retention: Retention = field(default_factory=Retention)
    archive: Archive = field(default_factory=Archive)
    assurance: AssuranceOptions = field(default_factory=AssuranceOptions)
    anchors: AnchorOptions = field(default_factory=AnchorOptions)
    objects: ObjectOptions = field(default_factory=ObjectOptions)
    backup: BackupOptions = field(default_factory=BackupOptions)
    console: Console = field(default_factory=Console)
    openid: OpenIdOptions = field(default_factory=OpenIdOptions)
    mail: MailOptions = field(default_factory=MailOptions)
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
    console_metrics: MetricsOptions = field(default_factory=MetricsOptions)
    voicemail: Voicemail = field(default_factory=Voicemail)
    sign_on: SignOnRules = field(default_factory=SignOnRules)
    drain: Drain = field(default_factory=Drain)
    selftest: SelfTestOptions = field(default_factory=SelfTestOptions)
    limits: Limits = field(default_factory=Limits)
    log: LogSettings = field(default_factory=LogSettings)
    syslog: SyslogOptions = field(default_factory=SyslogOptions)
    webhook: tuple[WebhookOptions, ...] = ()
    call_records: tuple[CallRecordsOptions, ...] = ()
    node: NodeOptions = field(default_factory=NodeOptions)
    sha256: str = ""
    unsaid_answered_by: tuple[str, ...] = ()
    """Extensions without ``answered_by`` in the file; derived when it is read."""

    @property
    def is_shared_index(self) -> bool:
        """Tell whether the index is on a PostgreSQL server, which several nodes can share."""
        return (self.storage.index_url or "").startswith("postgres")

    @cached_property
    def periods(self) -> Mapping[str, int]:
        """Return the configured retention periods, those of services included."""
        return periods(self.retention.days, {service.name: service.retention_days for service in self.service})

    def languages_of(self, service: str) -> tuple[str, ...]:
        """Return the languages in which callers of a service hear the messages, in their order."""
        own = next((one.languages for one in self.service if one.name == service), ())
        return own or self.notice.languages

    def service_of(self, extension: Extension) -> Service:
        """Return the service of an extension; reading has checked that it exists."""
        return next(service for service in self.service if service.name == extension.service)

    @property
    def sign_on_keys(self) -> str | None:
        """Return the keys before a sign-on code; None if off, or if another act has the same keys."""
        pause = self.pause
        taken = (pause.pause_keys, pause.resume_keys, pause.manager_keys)
        return None if self.sign_on.keys in taken else self.sign_on.keys

    @property
    def media_address(self) -> str:
        """Return the IP address that media sockets are bound to."""
        return self.media.address or self.sip.listen.host

    @property
    def connections(self) -> int:
        """Return the limit on TCP and TLS connections."""
        has_any = self.sip.listen_tcp is not None or self.sip.listen_tls is not None
        return self.limits.max_connections if has_any else 0

    @cached_property
    def extensions(self) -> Mapping[str, Extension]:
        """Return the nominated extensions by number as the file has it; filing and sign-ons use this spelling."""
        return {extension.number: extension for extension in self.extension}

    @cached_property
    def nominated(self) -> Mapping[str, Extension]:
        """Return the nominated extensions for `extension_of`: by number as in the file, and without separators.

        ``20-01`` in the file matches 2001 on the line. If the file has both, each matches its own spelling.
        """
        spelled = (one for one in reversed(self.extension) if not one.number.isalnum())
        plain = {without_separators(one.number): one for one in spelled}
        return {**{number: one for number, one in plain.items() if number}, **self.extensions}
