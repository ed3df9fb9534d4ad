"""`recorder init` and `recorder site-check`, and the messages that callers hear."""

import getpass
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from audio.prompts import PromptError, speak
from recorder.access.accounts import combining_admin, count_usable, usable_people
from recorder.access.database import AuditNote, open_people
from recorder.access.deputies import named_by_one
from recorder.access.listening.appointments import Appointments
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.cli.live import sign_in_for
from recorder.cli.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PasswordOption,
    audit,
    fail,
    load_home,
    people_of,
    print_json,
    print_table,
    read_password,
    say,
)
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.config import config_file
from recorder.config.carriage import parse_address
from recorder.config.settings import Config
from recorder.control.client import DaemonRefusedError, DaemonUnavailableError, LiveClient
from recorder.permissions import Act, Role
from recorder.recordings.keyring import epoch_keys, new_passphrase
from recorder.rules.policy import CardPayment, Extension, NoticeWhen
from recorder.service.certificates import check_tls
from recorder.service.config_check import (
    check_accounts,
    check_anchors,
    check_answered_by,
    check_operators,
    check_pause_keys,
    check_review,
    check_sign_in,
    check_siprec,
    check_srtp,
    check_teamless,
    check_teams,
)
from recorder.service.findings import Level, SiteFinding, error, warning
from recorder.service.home_check import check_folders, check_listening, check_next_hops, check_private_keys
from recorder.service.kernel_relay import check_kernel_relay, read_means
from recorder.service.machine import read_machine
from recorder.service.machine_check import check_machine
from recorder.service.new_home import NewHomeError, make_home
from recorder.service.openid_check import check_openid
from recorder.service.peer_check import check_alarms, check_targets
from sip.options import Address
from storage.errors import StorageError
from storage.keys import NodeKeys, current_public

EXTENSION = "NUMBER:OPERATOR:SERVICE[:TEAM]"
MIN_PEOPLE = 2
"""Accounts that can be used: a second person decides what one alone may not."""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    sip: Annotated[str | None, typer.Option("--sip", metavar="IP:PORT", help="Where to listen for SIP.")] = None,
    next_hop: Annotated[str | None, typer.Option("--next-hop", metavar="IP:PORT", help="The PBX.")] = None,
    extension: Annotated[
        list[str] | None,
        typer.Option(
            "--extension",
            metavar=EXTENSION,
            help="A nominated extension; repeat. Its team is the service, if not given.",
        ),
    ] = None,
    media_ports: Annotated[
        str, typer.Option("--media-ports", metavar="A-B", help="RTP and RTCP ports.")
    ] = "30000-33999",
    console: Annotated[str, typer.Option("--console", metavar="IP:PORT|off")] = "127.0.0.1:8080",
    admin: Annotated[str | None, typer.Option("--admin", metavar="NAME", help="The first account.")] = None,
    password_file: PasswordOption = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", metavar="FILE", help="Seal the private keys with its first line."),
    ] = None,
    site: Annotated[str, typer.Option("--site", help="Name of the council.")] = "Recorder",
    timezone: Annotated[str, typer.Option("--timezone")] = "Europe/London",
    notice_when: Annotated[NoticeWhen | None, typer.Option("--notice-when", help="When the notice plays.")] = None,
    card_payment: Annotated[CardPayment | None, typer.Option("--card-payment", help="On a card payment.")] = None,
    erase_on_opt_out: Annotated[bool, typer.Option(help="Erase what was recorded before an opt-out.")] = False,
    decided_by: Annotated[str | None, typer.Option("--decided-by", metavar="NAME", help="Who decided.")] = None,
) -> None:
    """Make a recorder's folder: configuration, keys, index, messages, first account. Asks for what is not given."""
    try:
        if folder.exists() and any(folder.iterdir()):
            fail(f"{folder} is not empty; give a new folder, or remove what is in it", 2)
    except OSError as error:
        fail(f"{folder}: {error.strerror}", 2)
    sip = sip or _ask("--sip", "Where to listen for SIP, IP:PORT", "127.0.0.1:5060")
    next_hop = next_hop or _ask("--next-hop", "Address of the PBX, IP:PORT", "")
    extensions = extension or _ask_extensions()
    admin = admin or _ask("--admin", "Name of the first account", getpass.getuser())
    asked_all = sys.stdin.isatty() and notice_when is None
    if asked_all:
        notice_when = NoticeWhen(_ask("--notice-when", "Notice before_ring or after_answer", "before_ring"))
        card_payment = CardPayment(_ask("--card-payment", "On card payments pause or discard", "pause"))
        decided_by = decided_by or _ask("--decided-by", "Who decided this", admin)
    answers = config_file.Answers(
        site=site,
        timezone=timezone,
        sip=_address(sip, "--sip"),
        own_addresses=_own_addresses(_address(sip, "--sip")),
        next_hop=_address(next_hop, "--next-hop"),
        extensions=tuple(_extension(text) for text in extensions),
        media_ports=_ports(media_ports),
        console=None if console == "off" else _address(console, "--console"),
        admin=admin,
        decided_by=decided_by or admin,
        card_payment=card_payment or CardPayment.PAUSE,
        notice_when=notice_when or NoticeWhen.BEFORE_RING,
        erase_on_opt_out=erase_on_opt_out,
        passphrase_file=None if passphrase_file is None else str(passphrase_file.resolve()),
    )
    if passphrase_file is not None:
        _check_passphrase(passphrase_file)
    password = read_password(password_file, f"Password of {admin} (at least 12 characters): ")
    try:
        make_home(Home(folder.resolve()), answers, password, os_user=os_user())
    except NewHomeError as error:
        fail(str(error), 2)
    say(f"{folder} is ready; `recorder site-check -C {folder}` looks it over, `recorder up -C {folder}` starts it")


def _check_passphrase(file: Path) -> None:
    try:
        new_passphrase(file)
    except StorageError as problem:
        fail(f"--passphrase-file: {problem}", 2)


def _ask(option: str, question: str, default: str) -> str:
    if not sys.stdin.isatty():
        fail(f"give {option}, or run this on a terminal to be asked", 2)
    return str(typer.prompt(question, default=default or None))


def _ask_extensions() -> list[str]:
    found = [_ask(f"--extension {EXTENSION}", f"First nominated extension, {EXTENSION}", "")]
    while more := typer.prompt("Another one, or Enter", default="", show_default=False):
        found.append(more)
    return found


def _own_addresses(listen: Address) -> tuple[str, ...]:
    """Return what a phone on this machine may call from when we listen on loopback: some prefer the outside address."""
    if not listen.host.startswith("127."):
        return ()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it only asks for the route
        except OSError:
            return ()
        return (str(probe.getsockname()[0]),)


def _address(text: str, option: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        fail(f"{option}: {error}", 2)


def _extension(text: str) -> Extension:
    parts = [part.strip() for part in text.split(":")]
    if len(parts) not in (3, 4) or not all((parts[0], *parts[2:])):
        fail(
            f"--extension: {text!r} is not {EXTENSION}, such as 2001:alice:Revenues, or 2001::Revenues for "
            "a phone that several officers share",
            2,
        )
    return Extension(number=parts[0], operator=parts[1], service=parts[2], team=parts[-1])


def _ports(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdigit() and last.isdigit()):
        fail(f"--media-ports: {text!r} is not A-B, such as 30000-33999", 2)
    return int(first), int(last)


# --- site-check


def site_check(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """Look over configuration, keys, messages, people and the machine; exit 1 if something keeps it from working."""
    place, config = load_home(home)
    findings = list(_findings(place, config))
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print_findings(findings)
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(1)


def _print_findings(findings: list[SiteFinding]) -> None:
    rows = [asdict(finding) for finding in findings]
    print_table(rows, [("level", ""), ("what", "Checked"), ("says", "Found")], empty="")
    for finding in findings:
        if finding.level is not Level.OK:
            say(f"{finding.level.value}: {finding.what}: {finding.why}; {finding.do}")


def _findings(home: Home, config: Config) -> Iterator[SiteFinding]:
    says = f"{len(config.extension)} nominated extensions, {len(config.route)} routes"
    yield SiteFinding(level=Level.OK, what="configuration", says=f"{says}, times in {config.site.timezone}")
    yield from _check_keys(home, config)
    yield from _check_messages(home, config)
    yield from _check_people(home)
    yield from check_sign_in(config)
    yield from check_openid(config)
    if home.people.exists():
        people = usable_people(people_of(home))
        yield from check_teams(config, people)
        yield from check_operators(config, people)
    yield from check_teamless(config)
    yield from check_accounts(config)
    yield from check_anchors(config)
    yield from check_review(config, utc_now().date())
    yield from check_srtp(config)
    yield from check_answered_by(config)
    yield from check_pause_keys(config)
    yield from check_siprec(config)
    yield from check_targets(config)
    yield from check_next_hops(config)
    alarms = _alarms_of(home)
    yield from check_listening(config, is_running=alarms is not None)
    yield from check_alarms(alarms or {})
    yield from check_tls(config, utc_now())
    yield from check_folders(home)
    yield from check_machine(read_machine(), config)
    yield from check_kernel_relay(config, read_means())


def _alarms_of(home: Home) -> dict[str, int] | None:
    """Return the alarms of the daemon; None where none runs here."""
    try:
        with LiveClient(home.socket) as live:
            alarms: dict[str, int] = live.health()["alarms"]
            return alarms
    except DaemonRefusedError:
        return {}
    except DaemonUnavailableError:
        return None


def _check_messages(home: Home, config: Config) -> Iterator[SiteFinding]:
    for name in filter(None, (config.notice.first, config.notice.second)):
        what = f"message {name}"
        try:
            message = NoticeStore(home.notices).load(name)
        except NoticeError as problem:
            yield error(what, str(problem), why="nobody is recorded who was not told", do="`recorder notice set`")
            continue
        says = f"version {message.version}, {message.prompt.duration_s:.1f} s"
        yield SiteFinding(level=Level.OK, what=what, says=says)


def _check_people(home: Home) -> Iterator[SiteFinding]:
    if not home.people.exists():
        why = "nobody can sign in"
        yield error("people", f"{home.people} is missing", why=why, do="restore it, or run `recorder users add`")
        return
    for person in combining_admin(people_of(home)):
        others = ", ".join(sorted(person.roles - {Role.ADMIN}))
        yield warning(
            f"account {person.name}", f"it combines admin with {others}, and hears nothing",
            why="whoever changes accounts must not hear recordings, so the recorder no longer lets them",
            do=f"`recorder users revoke {person.name} --role ...` one or the other, and give it to another person",
        )  # fmt: skip
    by_one = named_by_one(open_people(home.people))
    if by_one is not None:
        yield warning(
            "deputy", f"one person named {by_one}",
            why="the deputy decides on the data protection officer's requests, so two others name them",
            do=f"`recorder requests deputy {by_one}`, and another's `recorder users confirm`",
        )  # fmt: skip
    differs = Appointments(open_people(home.people), now=utc_now).unexplained(people_of(home))
    if differs is not None:
        yield error(
            "deputy", f"people.sqlite and the audit log disagree on the deputy ({differs})",
            why="somebody wrote into people.sqlite past the recorder, or an older one was brought back; who is not in "
            "both is no deputy",
            do="find out who did, then `recorder requests deputy NAME`, and another's `recorder users confirm`",
        )  # fmt: skip
    for name, roles in sorted(people_of(home).unexplained().items()):
        yield error(
            f"account {name}", f"no entry of the audit log explains its roles {', '.join(sorted(roles))}",
            why="somebody wrote into people.sqlite past the recorder; such roles give no right",
            do=f"find out who did, then `recorder users revoke {name} --role ...`; where the audit log was begun "
            "anew, `recorder users reseal`",
        )  # fmt: skip
    people = count_usable(people_of(home))
    if people < MIN_PEOPLE:
        why = "one person holds every power: what needs a second person cannot be done, and nobody sees what they do"
        yield warning("people", "one account can be used", why=why, do="add a second with `recorder users add`")
    else:
        yield SiteFinding(level=Level.OK, what="people", says=f"{people} accounts")


def _check_keys(home: Home, config: Config) -> Iterator[SiteFinding]:
    try:
        NodeKeys.load(home.root)
        epoch = current_public(home.root / "keys" / "epochs", datetime.now(UTC))
    except StorageError as problem:
        yield error("keys", str(problem), why="nothing can be sealed, so nothing is recorded", do="restore `keys/`")
    else:
        says = f"recordings are sealed to {epoch.name}"
        if epoch.is_fallback:
            why = "the key holder has made no key for this month"
            yield warning("keys", says, why=why, do="start the console, which makes the keys of coming months")
        else:
            yield SiteFinding(level=Level.OK, what="keys", says=says)
    try:
        yield from check_private_keys(epoch_keys(home, config))
    except StorageError as problem:
        yield error("private keys open", str(problem), why="nobody can listen", do="mend passphrase_file in [storage]")
    if config.storage.private_keys is None and home.private_keys.exists():
        why = "whoever has this machine can listen to every recording"
        do = "keep them elsewhere, mounted only while somebody listens: private_keys in [storage]"
        yield warning("private keys", f"they lie on this machine, in {home.private_keys}", why=why, do=do)


# --- messages

notice = typer.Typer(no_args_is_help=True, help="The messages that callers hear.")


@notice.command("list")
def list_notices(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """List every version of every message; the highest of a name is in use."""
    place, _ = load_home(home)
    rows = NoticeStore(place.notices).versions()
    if json:
        print_json(rows)
    else:
        columns = [
            ("name", "Message"),
            ("version", "Version"),
            ("duration_s", "Length, s"),
            ("set_at", "Set"),
            ("sha256", ""),
        ]
        print_table(rows, columns, empty="there are no messages")


@notice.command("set")
def set_notice(
    message: Annotated[str, typer.Argument(metavar="first|second")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="WAV, FLAC or OGG.")],
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Make a sound file the newest version of a message; `recorder reload` brings it into use."""
    place, _ = load_home(home)
    person = sign_in_for(place, Act.SET_NOTICE, name, password_file, "a message to callers", subject=message)
    try:
        stored = NoticeStore(place.notices).put(message, file, by=person.name)
    except (NoticeError, OSError) as error:
        fail(str(error))
    details = {"version": stored.version, "sha256": stored.sha256}
    audit(place, AuditNote(act=Act.SET_NOTICE.value, subject=message, details=details), actor=person.actor)
    say(f"message {message}, version {stored.version}: {stored.prompt.duration_s:.1f} s; `recorder reload` uses it")


@notice.command("generate")
def generate_notice(
    text: Annotated[Path, typer.Argument(metavar="TEXTFILE")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.flac")],
    voice: Annotated[str, typer.Option("--voice", help="A voice of espeak-ng.")] = "en-gb",
) -> None:
    """Have espeak-ng speak a text into a sound file."""
    try:
        speak(text.read_text(), voice, output)
    except (PromptError, OSError) as error:
        fail(str(error))
    say(f"{output} is ready; `recorder notice set first {output}` stores it")
