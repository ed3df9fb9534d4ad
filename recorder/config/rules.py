"""Checks settings for values and combinations that cannot work."""

import re
from datetime import date
from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recorder.common.plain_text import comparable, name_problem
from recorder.config.settings import Config
from recorder.config.sip_transports import WILDCARDS, mistakes, parse_address
from recorder.config.store_urls import overlap
from recorder.config.toml_tables import Reader
from recorder.rules.colours import READABLE, contrast_with_white, is_colour
from recorder.rules.notice_schedule import language_problem
from recorder.rules.retention_schedule import SCHEDULE, UNREACHED
from recorder.rules.transfer_targets import is_pattern
from sip.message import is_ip
from storage.database import SQLITE, parse_url
from storage.errors import DatabaseError
from storage.types import SELFTEST

DIGIT_WINDOW_S = 0.2
DETECTOR_LAG_S = 0.1
WRITER_PERIOD_S = 1.0
MOST_SIGN_ON_HOURS = 24
"""A sign-on that lasts into the next day's shift would file another officer's calls."""
MOST_INTERFACES = 16
"""The media core's limit."""
_INTERFACE = re.compile(r"[A-Za-z0-9_.+-]{1,15}")
"""Names that Linux allows, without the part that `ip link` prints after an @."""


def check(config: Config, reader: Reader) -> None:
    """Raise ConfigError for values and combinations that cannot work."""
    _check_interfaces(config, reader)
    _check_pause(config, reader)
    _check_notices(config, reader)
    _check_names(config, reader)
    _check_console(config, reader)
    _check_sip(config, reader)
    _check_voicemail(config, reader)
    _check_sign_on(config, reader)
    _check_selftest(config, reader)
    _check_network(config, reader)
    _check_siprec(config, reader)
    _check_transfers(config, reader)
    _check_retention(config, reader)
    _check_database(config, reader)
    _check_sections(config, reader)
    _check_backup(config, reader)
    _check_objects(config, reader)
    _check_policy_review(config, reader)
    _check_colour(config, reader)
    _check_webhooks(config, reader)
    _check_call_records(config, reader)
    _check_metrics(config, reader)


def _check_interfaces(config: Config, reader: Reader) -> None:
    names = config.media.kernel_interfaces
    where = ("media", "kernel_interfaces")
    if len(names) > MOST_INTERFACES:
        reader.fail(f"kernel_interfaces has {len(names)} names: at most {MOST_INTERFACES}", *where)
    for i, name in enumerate(names):
        if not _INTERFACE.fullmatch(name) or name in (".", ".."):
            reader.fail(f"kernel_interfaces: {name!r} is not the name of a network interface, such as eth0", *where)
        if name in names[:i]:
            reader.fail(f"kernel_interfaces has {name} twice", *where)


def _check_retention(config: Config, reader: Reader) -> None:
    retention = config.retention
    unreached = {SCHEDULE[data].key for data in UNREACHED}
    longest = max(days for key, days in config.periods.items() if key not in unreached)
    if retention.tombstone_days < longest:
        reader.fail(
            f"tombstone_days is {retention.tombstone_days}: shorter than the longest period, {longest} days, "
            "so a backup could bring back deleted data",
            "retention",
            "tombstone_days",
        )
    try:
        is_time = len(retention.sweep_at) == len("hh:mm") and retention.sweep_time.tzinfo is None
    except ValueError:
        is_time = False
    if not is_time:
        reader.fail(f"sweep_at must be a time of day, hh:mm, not {retention.sweep_at!r}", "retention", "sweep_at")


def _check_pause(config: Config, reader: Reader) -> None:
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
            "only audio in memory can be erased",
            "pause",
            "erase_s",
        )
    for key in ("pause_keys", "resume_keys", "manager_keys"):
        _check_keys(getattr(pause, key), "pause", key, reader)
    if pause.pause_keys == pause.resume_keys:
        reader.fail("pause_keys and resume_keys must differ", "pause", "resume_keys")
    if pause.manager_keys in (pause.pause_keys, pause.resume_keys):
        reader.fail("manager_keys must differ from pause_keys and resume_keys", "pause", "manager_keys")


def _check_keys(keys: str | None, section: str, key: str, reader: Reader) -> None:
    if keys is not None and (len(keys) != 2 or keys[0] != "*" or keys[1] not in "0123456789#"):
        reader.fail(f"{key} must be * and one more key, not {keys!r}", section, key)


def _check_selftest(config: Config, reader: Reader) -> None:
    extension = config.selftest.extension
    if extension is not None and extension not in config.extensions:
        reader.fail(f"extension is {extension!r}, which is no [[extension]]", "selftest", "extension")
    for i, one in enumerate(config.extension):
        if one.number == SELFTEST:
            reader.fail(f"{SELFTEST} is the name of self-tests, so no extension can have it", "extension", "number", i)


def _check_sign_on(config: Config, reader: Reader) -> None:
    sign_on = config.sign_on
    _check_keys(sign_on.keys, "sign_on", "keys", reader)
    if not 0 < sign_on.hours <= MOST_SIGN_ON_HOURS:
        reader.fail(
            f"hours is {sign_on.hours:g}: a sign-on lasts more than 0 and at most {MOST_SIGN_ON_HOURS} hours",
            "sign_on",
            "hours",
        )


def _check_voicemail(config: Config, reader: Reader) -> None:
    for number in config.voicemail.numbers:
        if number in config.extensions:
            reader.fail(f"{number} is a nominated extension, so it cannot be a mailbox", "voicemail", "numbers")


def _check_console(config: Config, reader: Reader) -> None:
    console = config.console
    if (console.tls_certificate is None) != (console.tls_key is None):
        reader.fail("tls_certificate and tls_key go together", "console", "tls_certificate")
    if console.tls is not None and console.behind_tls_proxy:
        reader.fail("set either tls_certificate, or behind_tls_proxy, not both", "console", "behind_tls_proxy")
    if (problem := config.openid.problem) is not None:
        key, sentence = problem
        reader.fail(sentence, "openid", key)
    if (config.openid.console_url or "").startswith("https:") and not console.is_https:
        reader.fail(
            "console_url is https, but [console] has no HTTPS: set tls_certificate, or behind_tls_proxy, in [console]",
            "openid",
            "console_url",
        )


def _check_notices(config: Config, reader: Reader) -> None:
    if len(config.notice.second_key) != 1 or config.notice.second_key not in "0123456789*#":
        reader.fail(f"second_key must be one of 0-9, * and #, not {config.notice.second_key!r}", "notice", "second_key")
    for i, service in enumerate(config.service):
        if (problem := language_problem(service.languages)) is not None:
            reader.fail(problem, "service", "languages", i)


def _check_names(config: Config, reader: Reader) -> None:
    _check_unique("peer", [peer.name for peer in config.peer], reader)
    _check_unique("register", [register.name for register in config.register], reader)
    for i, peer in enumerate(config.peer):
        if (peer.auth_user is None) != (peer.auth_password_file is None):
            reader.fail(f"peer {peer.name!r} needs both auth_user and auth_password_file", "peer", "auth_user", i)
    _check_unique("service", [service.name for service in config.service], reader)
    _check_seen(config, reader)
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
            reader.fail(f"extension {extension.number} is listed twice", "extension", "number", i)
        numbers.add(extension.number)
    peers = {peer.name for peer in config.peer}
    for i, route in enumerate(config.route):
        if route.peer is not None and route.peer not in peers:
            reader.fail(f"route {route.name!r} names peer {route.peer!r}, which is not configured", "route", "peer", i)
        if not route.targets:
            reader.fail(f"route {route.name!r} has no targets", "route", "targets", i)
    try:
        ZoneInfo(config.site.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        reader.fail(f'timezone {config.site.timezone!r} is not known, try "Europe/London"', "site", "timezone")


def _check_seen(config: Config, reader: Reader) -> None:
    """Refuse names with characters that are not seen, and two services whose names look the same."""
    shown: dict[str, str] = {}
    for i, service in enumerate(config.service):
        if (problem := name_problem(service.name, "The name of a service")) is not None:
            reader.fail(problem, "service", "name", i)
        other = shown.setdefault(comparable(service.name), service.name)
        if other != service.name:
            reader.fail(f"service {service.name!r} looks the same as {other!r}", "service", "name", i)
    for i, extension in enumerate(config.extension):
        for key, name in (("operator", extension.operator), ("team", extension.team)):
            if (problem := name_problem(name or "", f"The {key} of an extension")) is not None:
                reader.fail(problem, "extension", key, i)


def _check_colour(config: Config, reader: Reader) -> None:
    colour = config.site.colour
    if not is_colour(colour):
        reader.fail(f'colour must be "#rrggbb", such as "#1d70b8", not {colour!r}', "site", "colour")
    elif contrast_with_white(colour) < READABLE:
        reader.fail(
            f"colour {colour} is too light: white text on it has a contrast of {contrast_with_white(colour):.1f}:1, "
            f"and {READABLE}:1 is needed; choose a darker one", "site", "colour",
        )  # fmt: skip


def _check_transfers(config: Config, reader: Reader) -> None:
    lists = [("transfers", "deny", 0, config.transfers.deny)]
    lists += [("route", "transfer_allow", i, route.transfer_allow) for i, route in enumerate(config.route)]
    for section, key, entry, patterns in lists:
        for pattern in patterns:
            if not is_pattern(pattern):
                words = f"{key} has {pattern!r}: write the first digits of numbers, 09, or a whole one with x, 118xxx"
                reader.fail(words, section, key, entry)
    for prefix in config.transfers.prefixes:
        if not (prefix.isascii() and prefix.isdigit()):
            reader.fail(f"prefixes has {prefix!r}: write digits", "transfers", "prefixes")
    if not (config.transfers.country.isascii() and config.transfers.country.isdigit()):
        reader.fail(f"country must be digits, 44, not {config.transfers.country!r}", "transfers", "country")


def _check_database(config: Config, reader: Reader) -> None:
    for key, url in (("index_url", config.storage.index_url), ("accounts_url", config.storage.accounts_url)):
        if url is None:
            continue
        try:
            parsed = parse_url(url)
        except DatabaseError as error:
            reader.fail(str(error), "storage", key)
        if key == "accounts_url" and parsed.drivername == SQLITE:
            words = 'accounts_url is for a PostgreSQL server: write "off" for people.sqlite in this folder'
            reader.fail(words, "storage", key)
    if config.node.console_files is not None and not config.is_shared_index:
        reader.fail(
            "several nodes share one index: give index_url in [storage], postgresql://USER@HOST/NAME", "node", "ca"
        )


def _check_sections(config: Config, reader: Reader) -> None:
    """Check each section that can tell by itself that it cannot work."""
    for section in ("notice", "anchors", "backup", "objects", "mail", "syslog", "metrics", "console_metrics", "node"):
        problem = getattr(config, section).problem
        if problem is not None:
            key, sentence = problem
            reader.fail(sentence, section, key)


def _check_call_records(config: Config, reader: Reader) -> None:
    for i, place in enumerate(config.call_records):
        if place.problem is not None:
            key, sentence = place.problem
            reader.fail(sentence, "call_records", key, i)


def _check_webhooks(config: Config, reader: Reader) -> None:
    for i, webhook in enumerate(config.webhook):
        problem = webhook.problem
        if problem is None and webhook.name in [one.name for one in config.webhook[:i]]:
            problem = "name", f"webhook {webhook.name!r} is there twice"
        if problem is not None:
            key, sentence = problem
            reader.fail(sentence, "webhook", key, i)


def _check_backup(config: Config, reader: Reader) -> None:
    longest = config.retention.tombstone_days
    for name, days in config.backup.days.items():
        if days > longest:
            reader.fail(
                f"{name}_days is {days}, more than tombstone_days in [retention] ({longest}): a backup must not "
                "outlive the tombstones",
                "backup",
                f"{name}_days",
            )


def _check_objects(config: Config, reader: Reader) -> None:
    url = config.objects.url
    for destination in (config.backup.destination, config.backup.keys_destination):
        if url is not None and destination is not None and overlap(url, destination):
            reader.fail(
                f"url is {url!r}, and backups go to {destination!r}: give each a folder or prefix of its own",
                "objects",
                "url",
            )


def _check_policy_review(config: Config, reader: Reader) -> None:
    reviewed_on = config.site.policy_reviewed_on
    try:
        date.fromisoformat(reviewed_on or "2026-01-01")
    except ValueError:
        reader.fail(f"policy_reviewed_on must be a day, 2026-11-25, not {reviewed_on!r}", "site", "policy_reviewed_on")


def _check_metrics(config: Config, reader: Reader) -> None:
    daemon, console = config.metrics.listen, config.console_metrics.listen
    if daemon is not None and daemon == console:
        reader.fail(
            f"[metrics] and [console_metrics] both have {daemon}: give each its own", "console_metrics", "listen"
        )
    if console is not None and console == config.console.listen:
        reader.fail(
            f"{console} is the console's own address: give the metrics another port", "console_metrics", "listen"
        )


def _check_siprec(config: Config, reader: Reader) -> None:
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


def _check_unique(section: str, names: list[str], reader: Reader) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            reader.fail(f"{section} {name!r} is listed twice", section, "name", i)


def _check_sip(config: Config, reader: Reader) -> None:
    sip = config.sip
    for server in sip.name_servers:
        try:
            is_usable = is_ip(parse_address(server, 53).host)
        except ValueError:
            is_usable = False
        if not is_usable:
            reader.fail(f"{server!r} is not a name server: write IP or IP:PORT", "sip", "name_servers")
    if sip.session_expires_s is not None and sip.session_expires_s < sip.min_session_s:
        reader.fail(
            f'session_expires_s is {sip.session_expires_s}: it must be at least min_session_s, or "off"',
            "sip",
            "session_expires_s",
        )


def _check_network(config: Config, reader: Reader) -> None:
    for i, peer in enumerate(config.peer):
        if not peer.networks:
            reader.fail(
                f"peer {peer.name!r} has no networks, so all its requests would be dropped", "peer", "networks", i
            )
        for network in peer.networks:
            try:
                ip_network(network, strict=False)
            except ValueError:
                reader.fail(f"{network!r} is not a network, write 192.0.2.0/24", "peer", "networks", i)
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
    if config.media_address in WILDCARDS and config.media.advertised is None:
        reader.fail("advertised must say which IP goes into SDP when address is a wildcard", "media", "advertised")
