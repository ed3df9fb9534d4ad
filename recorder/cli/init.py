"""`recorder init`: creates a recorder's home."""

import getpass
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from recorder.access.database import AuditNote
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.entries import audit
from recorder.cli.errors import said_plainly
from recorder.cli.identity import read_password
from recorder.cli.options import JsonOption, PasswordOption
from recorder.cli.output import fail, print_json, say
from recorder.cli.share import SHARED, group_number
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.config import config_file
from recorder.config.sip_transports import parse_address
from recorder.recordings.keyring import new_passphrase
from recorder.rules.policy import CardPayment, Extension, NoticeWhen
from recorder.service.home_sharing import SharingError
from recorder.service.home_sharing import share as give_rights
from recorder.service.new_home import NewHomeError, make_home
from sip.options import Address
from storage.errors import StorageError

EXTENSION = "NUMBER:OPERATOR:SERVICE[:TEAM]"


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    sip: Annotated[str | None, typer.Option("--sip", metavar="IP:PORT", help="Address to listen on for SIP.")] = None,
    next_hop: Annotated[str | None, typer.Option("--next-hop", metavar="IP:PORT", help="Address of the PBX.")] = None,
    extension: Annotated[
        list[str] | None,
        typer.Option(
            "--extension",
            metavar=EXTENSION,
            help="A nominated extension. May be repeated. The team is the service, if not given.",
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
        typer.Option(
            "--passphrase-file", metavar="FILE", help="Encrypt the private keys with the first line of this file."
        ),
    ] = None,
    site: Annotated[str, typer.Option("--site", help="Name of the council.")] = "Recorder",
    timezone: Annotated[str, typer.Option("--timezone")] = "Europe/London",
    notice_when: Annotated[NoticeWhen | None, typer.Option("--notice-when", help="When to play the notice.")] = None,
    card_payment: Annotated[
        CardPayment | None, typer.Option("--card-payment", help="What to do on a card payment.")
    ] = None,
    erase_on_opt_out: Annotated[bool, typer.Option(help="Erase the recording so far on an opt-out.")] = False,
    decided_by: Annotated[
        str | None, typer.Option("--decided-by", metavar="NAME", help="Who decided these rules.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="GROUP",
            help="Share the home with the daemon's user in this group; run this as the console's user.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Create a recorder's home: configuration, keys, index, messages, first account. Asks for missing values."""
    _refuse_used(folder)
    shared_with = None if group is None else _own_group(group)
    sip = sip or _ask("--sip", "Where to listen for SIP, IP:PORT", "127.0.0.1:5060")
    next_hop = next_hop or _ask("--next-hop", "Address of the PBX, IP:PORT", "")
    extensions = extension or _ask_extensions()
    admin = admin or _ask("--admin", "Name of the first account", getpass.getuser())
    decided = _decide(notice_when, card_payment, decided_by, admin)
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
        decided_by=decided.by,
        card_payment=decided.card_payment,
        notice_when=decided.notice_when,
        erase_on_opt_out=erase_on_opt_out,
        passphrase_file=None if passphrase_file is None else str(passphrase_file.resolve()),
    )
    if passphrase_file is not None:
        _check_passphrase(passphrase_file)
    _make(folder, answers, password_file)
    if group is not None and shared_with is not None:
        _share(Home(folder.resolve()), group, shared_with)
    start = f"start it with `recorder up -C {folder}`" if group is None else "start the units of daemon and console"
    if json:
        print_json({"home": str(folder.resolve()), "account": admin})
        return
    say(f"{folder} is ready; check it with `recorder site-check -C {folder}`, {start}")


def _own_group(group: str) -> int:
    number = group_number(group)
    if os.geteuid() != 0 and number not in (os.getegid(), *os.getgroups()):
        fail(f"{os_user()} is not in group {group}: run this as the console's user (docs/operations.md, Two users)", 2)
    return number


def _share(home: Home, group: str, number: int) -> None:
    try:
        audit(home, AuditNote(act=SHARED, subject=group, details=dict(WITHOUT_ACCOUNT)), actor=f"os:{os_user()}")
        give_rights(home, number)
    except (SharingError, StorageError, OSError) as problem:
        fail(f"the home is made, but not shared: {problem}; run `recorder share {group} -C {home.root}`")


def _refuse_used(folder: Path) -> None:
    with said_plainly(code=2):
        if folder.exists() and any(folder.iterdir()):
            fail(f"{folder} is not empty; give a new folder, or empty this one", 2)


class _Decisions(NamedTuple):
    """Decisions about the notice and card payments, and who made them."""

    notice_when: NoticeWhen
    card_payment: CardPayment
    by: str


def _decide(notice_when: NoticeWhen | None, card_payment: CardPayment | None, by: str | None, admin: str) -> _Decisions:
    """Return the given decisions or the defaults; ask on a terminal if --notice-when is missing."""
    if sys.stdin.isatty() and notice_when is None:
        notice_when = NoticeWhen(_ask("--notice-when", "Notice before_ring or after_answer", "before_ring"))
        card_payment = CardPayment(_ask("--card-payment", "On card payments pause or discard", "pause"))
        by = by or _ask("--decided-by", "Who decided this", admin)
    return _Decisions(notice_when or NoticeWhen.BEFORE_RING, card_payment or CardPayment.PAUSE, by or admin)


def _make(folder: Path, answers: config_file.Answers, password_file: Path | None) -> None:
    password = read_password(password_file, f"Password of {answers.admin} (at least 12 characters): ")
    try:
        make_home(Home(folder.resolve()), answers, password, os_user=os_user())
    except NewHomeError as error:
        fail(str(error), 2)


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
    """Return other addresses from which a phone on this machine may call if SIP listens on loopback."""
    if not listen.host.startswith("127."):
        return ()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; only selects the route
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
