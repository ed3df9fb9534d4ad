"""The configuration: one TOML file read into frozen dataclasses.

A mistake is one plain sentence with the line: unknown keys, bad values and impossible combinations alike. What a key
is for, its unit and its default stand in the file that `recorder init` writes (`recorder.config_file`).
"""

import dataclasses
import hashlib
import math
import tomllib
import types
import typing
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import Enum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recorder.auditing.anchor_options import AnchorOptions
from recorder.carriage import WILDCARDS, mistakes, parse_address, parse_target
from recorder.domain.policy import Extension, Service
from recorder.domain.retention import SCHEDULE, UNREACHED, DataClass, periods
from recorder.domain.routing import EmergencyNumbers, Peer, Route
from recorder.domain.signing_in import SecondFactor, SessionLimits, SignInRules
from recorder.domain.weekly import review_day
from recorder.notifying.mail_options import MailOptions
from recorder.sip_accounts import RegisterOptions
from sip.message import is_ip
from sip.options import Address
from storage.database import parse_url
from storage.errors import DatabaseError
from storage.types import ArchiveFormat

DIGIT_WINDOW_S = 0.2
DETECTOR_LAG_S = 0.1
WRITER_PERIOD_S = 1.0
DEFAULT_PORTS = {"listen_tls": 5061}
TARGETS = frozenset({"targets", "registrar"})
"""Keys whose addresses may name a transport."""


class ConfigError(Exception):
    """The configuration cannot be used; the message is a sentence with file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Whose recorder this is."""

    name: str = "Recorder"
    timezone: str = "Europe/London"
    policy_reviewed_on: str | None = None

    @property
    def policy_review_on(self) -> date | None:
        """Return the day of the policy's next review; None where nobody has said when the last one was."""
        return review_day(date.fromisoformat(self.policy_reviewed_on) if self.policy_reviewed_on else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sip:
    """Where SIP is spoken."""

    listen: Address = field(default_factory=lambda: Address(host="127.0.0.1", port=5060))
    listen_tcp: Address | None = None
    listen_tls: Address | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None
    advertised: Address | None = None
    no_reply_s: float = 2.0
    watch_every_s: float = 10.0
    session_expires_s: int | None = 1800
    min_session_s: int = 90
    name_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Ports and threads of the media core."""

    address: str = ""
    advertised: str | None = None
    ports: tuple[int, int] = (30000, 33999)
    threads: int = 1
    lock_memory: bool = True
    detect_tones: bool = True
    dead_rtp_s: float = 10.0
    gather_ms: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Which messages play."""

    first: str = "first"
    second: str | None = "second"
    second_key: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """How a pause works."""

    look_back_s: float = 5.0
    erase_s: float = 3.0
    pause_keys: str = "*1"
    resume_keys: str = "*2"
    manager_keys: str | None = None
    max_s: float = 600.0
    reminder_s: float | None = 60.0
    forgot_s: float = 300.0
    card_digits: int = 4
    card_window_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where recordings and index lie."""

    index_url: str | None = field(default=None, repr=False)
    """It may hold a password."""
    private_keys: str | None = None
    passphrase_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long each class of data is kept, and how the sweep goes about it; the defaults are the schedule's."""

    retention_days: int = SCHEDULE[DataClass.RECORDINGS].days
    unrecorded_days: int = SCHEDULE[DataClass.UNRECORDED].days
    text_days: int = SCHEDULE[DataClass.TEXTS].days
    decision_days: int = SCHEDULE[DataClass.DECISIONS].days
    request_days: int = SCHEDULE[DataClass.REQUESTS].days
    case_days: int = SCHEDULE[DataClass.CASES].days
    access_days: int = SCHEDULE[DataClass.ACCESS].days
    torn_days: int = SCHEDULE[DataClass.TORN].days
    tombstone_days: int = SCHEDULE[DataClass.TOMBSTONES].days
    most_share_a_day: float = 5.0
    sweep_at: str = "03:00"

    @property
    def days(self) -> dict[str, int]:
        """Return the days of every class by its key."""
        return {line.key: getattr(self, line.key) for line in SCHEDULE.values()}

    @property
    def sweep_time(self) -> time:
        """Return the time of day of the sweep."""
        return time.fromisoformat(self.sweep_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """When the key holder packs finished recordings, and in what; None is never."""

    after_days: int | None = None
    format: ArchiveFormat = ArchiveFormat.FLAC


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Where the console listens, None is off; and how people sign in, to the console and at the shell."""

    listen: Address | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    behind_tls_proxy: bool = False
    second_factor: SecondFactor = SecondFactor.REQUIRED
    idle_minutes: float = 30.0
    longest_hours: float = 12.0

    @property
    def tls(self) -> tuple[str, str] | None:
        """Return the files of the certificate and its key, or None: plain HTTP."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return self.tls_certificate, self.tls_key

    @property
    def is_https(self) -> bool:
        """Tell whether browsers come by HTTPS."""
        return self.tls is not None or self.behind_tls_proxy

    @property
    def url(self) -> str:
        """Return the address that it listens on, as browsers have it."""
        return f"{'http' if self.tls is None else 'https'}://{self.listen}"

    @property
    def sign_in(self) -> SignInRules:
        """Return how people sign in."""
        idle, longest = timedelta(minutes=self.idle_minutes), timedelta(hours=self.longest_hours)
        return SignInRules(second_factor=self.second_factor, limits=SessionLimits(idle=idle, longest=longest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail:
    """What answers where no officer does."""

    numbers: tuple[str, ...] = ()
    after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the machine is trusted to carry."""

    max_calls: int = 1000
    max_passed: int = 5000
    max_connections: int = 500
    max_connections_per_source: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file."""

    site: Site = field(default_factory=Site)
    sip: Sip = field(default_factory=Sip)
    peer: tuple[Peer, ...] = ()
    route: tuple[Route, ...] = ()
    register: tuple[RegisterOptions, ...] = ()
    emergency: EmergencyNumbers = field(default_factory=EmergencyNumbers)
    media: Media = field(default_factory=Media)
    notice: Notice = field(default_factory=Notice)
    service: tuple[Service, ...] = ()
    extension: tuple[Extension, ...] = ()
    pause: Pause = field(default_factory=Pause)
    storage: Storage = field(default_factory=Storage)
    retention: Retention = field(default_factory=Retention)
    archive: Archive = field(default_factory=Archive)
    anchors: AnchorOptions = field(default_factory=AnchorOptions)
    console: Console = field(default_factory=Console)
    mail: MailOptions = field(default_factory=MailOptions)
    voicemail: Voicemail = field(default_factory=Voicemail)
    limits: Limits = field(default_factory=Limits)
    sha256: str = ""

    @property
    def periods(self) -> dict[str, int]:
        """Return the retention periods that are asked for, services' own ones included."""
        return periods(self.retention.days, {service.name: service.retention_days for service in self.service})

    def service_of(self, extension: Extension) -> Service:
        """Return the rules of an extension's service; reading made sure that it exists."""
        return next(service for service in self.service if service.name == extension.service)

    @property
    def connections(self) -> int:
        """Return how many TCP and TLS connections there may be."""
        has_any = self.sip.listen_tcp is not None or self.sip.listen_tls is not None
        return self.limits.max_connections if has_any else 0

    @property
    def extensions(self) -> dict[str, Extension]:
        """Return the nominated extensions by number."""
        return {extension.number: extension for extension in self.extension}


def read(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: It cannot be read or used; the message says what and where.
    """
    try:
        content = path.read_bytes()
        text = content.decode()
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; run `recorder init` or give the folder with -C") from error
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path}: {error}") from error
    reader = _Reader(path, text)
    built: Config = reader.build(Config, table, "")
    config = dataclasses.replace(built, sha256=hashlib.sha256(content).hexdigest())
    _check(config, reader)
    return config


class _Reader:
    """Builds dataclasses out of TOML tables and finds the line that a mistake is on."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def fail(self, sentence: str, section: str = "", key: str = "", entry: int = 0) -> typing.NoReturn:
        """Raise ConfigError with the line of a key of a section's entry."""
        raise ConfigError(f"{self._path}, line {self._line(section, key, entry)}: {sentence}")

    def build(self, kind: type[Any], table: dict[str, Any], section: str, entry: int = 0) -> Any:  # noqa: ANN401
        """Build one dataclass; every key must be one of its fields."""
        hints = typing.get_type_hints(kind)
        hints.pop("sha256", None)
        for key in table:
            if key not in hints:
                known = ", ".join(sorted(hints))
                self.fail(f"unknown key {key!r}; known here are {known}", section or key, key, entry)
        values = {key: self._value(hints[key], value, section, key, entry) for key, value in table.items()}
        try:
            return kind(**values)
        except TypeError:
            needed = [
                f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING and f.name not in values
            ]
            self.fail(f"[[{section}]] needs {', '.join(needed)}", section, "", entry)

    def _value(self, hint: Any, value: Any, section: str, key: str, entry: int) -> Any:  # noqa: ANN401
        where = (section or key, key, entry)
        if dataclasses.is_dataclass(hint) and hint is not Address:
            if not isinstance(value, dict):
                self.fail(f"{key} must be a section: [{key}]", *where)
            return self.build(typing.cast("type[Any]", hint), value, key)
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            if value == "off":
                return None
            return self._value(next(a for a in arguments if a is not type(None)), value, section, key, entry)
        if origin is tuple:
            return self._sequence(arguments, value, section, key, entry)
        return self._scalar(hint, value, where)

    def _sequence(self, arguments: tuple[Any, ...], value: Any, section: str, key: str, entry: int) -> Any:  # noqa: ANN401
        if not isinstance(value, list):
            self.fail(f"{key} must be a list", section or key, key, entry)
        if dataclasses.is_dataclass(arguments[0]) and arguments[0] is not Address:
            return tuple(
                self.build(typing.cast("type[Any]", arguments[0]), item, key, i) for i, item in enumerate(value)
            )
        if len(arguments) == 2 and arguments[1] is not Ellipsis and len(value) != 2:
            self.fail(f"{key} must be two numbers: [first, last]", section, key, entry)
        return tuple(self._value(arguments[0], item, section, key, entry) for item in value)

    def _scalar(self, hint: Any, value: Any, where: tuple[str, str, int]) -> Any:  # noqa: ANN401
        key = where[1]
        if hint is Address:
            try:
                text = value if isinstance(value, str) else ""
                if key in TARGETS:
                    return parse_target(text)
                return parse_address(text, DEFAULT_PORTS.get(key, 5060))
            except ValueError:
                what = 'HOST:PORT, "tcp:HOST:PORT" or "tls:HOST:PORT"' if key in TARGETS else "IP:PORT in quotes"
                self.fail(f"{key} must be {what}, not {value!r}", *where)
        if isinstance(hint, type) and issubclass(hint, Enum):
            try:
                return hint(value)
            except ValueError:
                self.fail(f"{key} must be one of {', '.join(repr(m.value) for m in hint)}, not {value!r}", *where)
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if type(value) is not hint or (hint is float and not math.isfinite(value)):
            words = {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
            self.fail(f"{key} must be {words.get(hint, hint)}, not {value!r}", *where)
        return value

    def _line(self, section: str, key: str, entry: int) -> int:
        seen, inside, section_line = -1, section == "", 1
        for number, line in enumerate(self._lines, 1):
            stripped = line.split("#", 1)[0].strip()
            if stripped.startswith("["):
                if stripped.strip("[]").strip() == section:
                    seen += 1
                    inside = seen == entry or not stripped.startswith("[[")
                    section_line = number if inside else section_line
                else:
                    inside = False
            elif inside and key and stripped.split("=", 1)[0].strip() == key:
                return number
        return section_line


def _check(config: Config, reader: _Reader) -> None:
    """Refuse combinations that cannot work."""
    _check_ranges(config, reader)
    _check_gathering(config, reader)
    _check_pause(config, reader)
    _check_names(config, reader)
    _check_console(config, reader)
    _check_sip(config, reader)
    _check_voicemail(config, reader)
    _check_network(config, reader)
    _check_siprec(config, reader)
    _check_retention(config, reader)
    _check_database(config, reader)
    _check_anchors(config, reader)
    _check_mail(config, reader)


_OVER_ZERO = {
    "sip": ("no_reply_s", "watch_every_s"),
    "media": ("dead_rtp_s",),
    "pause": ("max_s", "forgot_s", "card_window_s"),
    "anchors": ("every_s",),
    "service": ("ring_s",),
    "peer": ("calls_per_s", "requests_per_s"),
    "console": ("idle_minutes", "longest_hours"),
}
_AT_LEAST = {
    "media": {"threads": 1},
    "pause": {"card_digits": 1},
    "retention": {line.key: 1 for line in SCHEDULE.values()},
    "limits": {"max_connections": 1, "max_connections_per_source": 1, "max_calls": 1, "max_passed": 1},
    "sip": {"min_session_s": 1},
    "route": {"strip": 0},
    "register": {"expires_s": 1},
}


def _check_ranges(config: Config, reader: _Reader) -> None:
    for section, keys in _OVER_ZERO.items():
        for i, entry in enumerate(_entries(config, section)):
            for key in keys:
                if getattr(entry, key) <= 0:
                    reader.fail(f"{key} is {getattr(entry, key):g}: it must be over 0", section, key, i)
    for section, least in _AT_LEAST.items():
        for i, entry in enumerate(_entries(config, section)):
            for key, bound in least.items():
                if getattr(entry, key) < bound:
                    reader.fail(f"{key} is {getattr(entry, key)}: it must be at least {bound}", section, key, i)


def _check_gathering(config: Config, reader: _Reader) -> None:
    if not 0 <= config.media.gather_ms <= 10:
        reader.fail(f"gather_ms is {config.media.gather_ms:g}: it must lie in [0, 10]", "media", "gather_ms")


def _check_retention(config: Config, reader: _Reader) -> None:
    retention = config.retention
    for i, service in enumerate(config.service):
        if service.retention_days is not None and service.retention_days < 1:
            days = service.retention_days
            reader.fail(f"retention_days is {days}: it must be at least 1", "service", "retention_days", i)
    if not 0 < retention.most_share_a_day <= 100:
        share = retention.most_share_a_day
        reader.fail(f"most_share_a_day is {share:g}: it must lie in (0, 100]", "retention", "most_share_a_day")
    if config.archive.after_days is not None and config.archive.after_days < 1:
        days = config.archive.after_days
        reader.fail(f'after_days is {days}: it must be at least 1, or "off"', "archive", "after_days")
    unreached = {SCHEDULE[data].key for data in UNREACHED}
    longest = max(days for key, days in config.periods.items() if key not in unreached)
    if retention.tombstone_days < longest:
        reader.fail(
            f"tombstone_days is {retention.tombstone_days}: shorter than the longest period, {longest} days, "
            "so that a backup could bring back what was deleted",
            "retention",
            "tombstone_days",
        )
    try:
        is_time = len(retention.sweep_at) == len("hh:mm") and retention.sweep_time.tzinfo is None
    except ValueError:
        is_time = False
    if not is_time:
        reader.fail(f"sweep_at must be a time of day, hh:mm, not {retention.sweep_at!r}", "retention", "sweep_at")


def _entries(config: Config, section: str) -> tuple[Any, ...]:
    found = getattr(config, section)
    return found if isinstance(found, tuple) else (found,)


def _check_pause(config: Config, reader: _Reader) -> None:
    pause = config.pause
    least = DIGIT_WINDOW_S + DETECTOR_LAG_S + WRITER_PERIOD_S
    if pause.look_back_s < least:
        reader.fail(
            f"look_back_s is {pause.look_back_s:g}: shorter than digit window + detector lag + writer period "
            f"({least:g} s), so digits could be written before they are recognised",
            "pause",
            "look_back_s",
        )
    if not 0 <= pause.erase_s <= pause.look_back_s - WRITER_PERIOD_S:
        reader.fail(
            f"erase_s is {pause.erase_s:g}: it must lie in [0, look_back_s - {WRITER_PERIOD_S:g}]; "
            "only what is in memory can be erased",
            "pause",
            "erase_s",
        )
    for key in ("pause_keys", "resume_keys", "manager_keys"):
        keys = getattr(pause, key)
        if keys is None:
            continue
        if len(keys) != 2 or keys[0] != "*" or keys[1] not in "0123456789#":
            reader.fail(f"{key} must be * and one more key, not {keys!r}", "pause", key)
    if pause.pause_keys == pause.resume_keys:
        reader.fail("pause_keys and resume_keys must differ", "pause", "resume_keys")
    if pause.manager_keys in (pause.pause_keys, pause.resume_keys):
        reader.fail("manager_keys must differ from pause_keys and resume_keys", "pause", "manager_keys")
    if pause.reminder_s is not None and pause.reminder_s <= 0:
        reader.fail(f'reminder_s is {pause.reminder_s:g}: it must be over 0, or "off"', "pause", "reminder_s")


def _check_voicemail(config: Config, reader: _Reader) -> None:
    after_s = config.voicemail.after_s
    if after_s is not None and after_s <= 0:
        reader.fail(f'after_s is {after_s:g}: it must be over 0, or "off"', "voicemail", "after_s")
    for number in config.voicemail.numbers:
        if number in config.extensions:
            reader.fail(f"{number} is a nominated extension, so it cannot be a mailbox", "voicemail", "numbers")


def _check_console(config: Config, reader: _Reader) -> None:
    console = config.console
    if (console.tls_certificate is None) != (console.tls_key is None):
        reader.fail("tls_certificate and tls_key go together", "console", "tls_certificate")
    if console.tls is not None and console.behind_tls_proxy:
        reader.fail("either a certificate, or a proxy that has one", "console", "behind_tls_proxy")


def _check_names(config: Config, reader: _Reader) -> None:
    if len(config.notice.second_key) != 1 or config.notice.second_key not in "0123456789*#":
        reader.fail(f"second_key must be one of 0-9, * and #, not {config.notice.second_key!r}", "notice", "second_key")
    _check_unique("peer", [peer.name for peer in config.peer], reader)
    _check_unique("register", [register.name for register in config.register], reader)
    for i, peer in enumerate(config.peer):
        if (peer.auth_user is None) != (peer.auth_password_file is None):
            reader.fail(f"peer {peer.name!r} needs both auth_user and auth_password_file", "peer", "auth_user", i)
    _check_unique("service", [service.name for service in config.service], reader)
    services = {service.name for service in config.service}
    numbers: set[str] = set()
    for i, extension in enumerate(config.extension):
        if extension.service not in services:
            known = ", ".join(sorted(services)) or "none"
            reader.fail(
                f"extension {extension.number} names service {extension.service!r}; known are {known}",
                "extension",
                "service",
                i,
            )
        if extension.number in numbers:
            reader.fail(f"extension {extension.number} is there twice", "extension", "number", i)
        numbers.add(extension.number)
    peers = {peer.name for peer in config.peer}
    for i, route in enumerate(config.route):
        if route.peer is not None and route.peer not in peers:
            reader.fail(f"route {route.name!r} names peer {route.peer!r}, which is not there", "route", "peer", i)
        if not route.targets:
            reader.fail(f"route {route.name!r} has no targets", "route", "targets", i)
    try:
        ZoneInfo(config.site.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        reader.fail(f'timezone {config.site.timezone!r} is not known, try "Europe/London"', "site", "timezone")


def _check_database(config: Config, reader: _Reader) -> None:
    if config.storage.index_url is not None:
        try:
            parse_url(config.storage.index_url)
        except DatabaseError as error:
            reader.fail(str(error), "storage", "index_url")


def _check_anchors(config: Config, reader: _Reader) -> None:
    problem = config.anchors.problem
    if problem is not None:
        key, sentence = problem
        reader.fail(sentence, "anchors", key)


def _check_mail(config: Config, reader: _Reader) -> None:
    problem = config.mail.problem
    if problem is not None:
        key, sentence = problem
        reader.fail(sentence, "mail", key)
    reviewed_on = config.site.policy_reviewed_on
    try:
        date.fromisoformat(reviewed_on or "2026-01-01")
    except ValueError:
        reader.fail(f"policy_reviewed_on must be a day, 2026-11-25, not {reviewed_on!r}", "site", "policy_reviewed_on")


def _check_siprec(config: Config, reader: _Reader) -> None:
    services = {service.name for service in config.service}
    for i, peer in enumerate(config.peer):
        if (problem := peer.problem) is not None:
            key, sentence = problem
            reader.fail(sentence, "peer", key, i)
        if peer.siprec_service and peer.siprec_service not in services:
            known = ", ".join(sorted(map(repr, services)))
            reader.fail(
                f"siprec_service of peer {peer.name!r} is {peer.siprec_service!r}; known are {known}",
                "peer",
                "siprec_service",
                i,
            )


def _check_unique(section: str, names: list[str], reader: _Reader) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            reader.fail(f"{section} {name!r} is there twice", section, "name", i)


def _check_sip(config: Config, reader: _Reader) -> None:
    sip = config.sip
    for server in sip.name_servers:
        try:
            is_usable = is_ip(parse_address(server, 53).host)
        except ValueError:
            is_usable = False
        if not is_usable:
            reader.fail(f"{server!r} is no name server: write IP or IP:PORT", "sip", "name_servers")
    if sip.session_expires_s is not None and sip.session_expires_s < sip.min_session_s:
        reader.fail(
            f'session_expires_s is {sip.session_expires_s}: it must be at least min_session_s, or "off"',
            "sip",
            "session_expires_s",
        )


def _check_network(config: Config, reader: _Reader) -> None:
    for i, peer in enumerate(config.peer):
        if not peer.networks:
            reader.fail(f"peer {peer.name!r} has no networks, so nothing is taken from it", "peer", "networks", i)
        for network in peer.networks:
            try:
                ip_network(network, strict=False)
            except ValueError:
                reader.fail(f"{network!r} is no network, write 192.0.2.0/24", "peer", "networks", i)
    for mistake in mistakes(config):
        reader.fail(mistake.sentence, mistake.section, mistake.key, mistake.entry)
    first, last = config.media.ports
    if not 1024 <= first < last <= 65535:
        reader.fail(
            f"ports must be two numbers in [1024, 65535], the first one smaller; they are {first} and {last}",
            "media",
            "ports",
        )
    if config.media.address:
        try:
            ip_address(config.media.address)
        except ValueError:
            reader.fail(f"address {config.media.address!r} is not an IP address", "media", "address")
    if (config.media.address or config.sip.listen.host) in WILDCARDS and config.media.advertised is None:
        reader.fail("advertised must say which IP goes into SDP when address is a wildcard", "media", "advertised")
