"""`recorder notices`: the messages that callers hear, by service and language, and from when they are in force."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.access.database import AuditNote
from recorder.calls.notice_catalogue import NewNotice, moment_json
from recorder.calls.notice_check import CheckedSound, check_sound
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.cli import completion
from recorder.cli.context import CommandContext, HomeContext, PersonContext
from recorder.cli.entries import audit
from recorder.cli.live import sign_in_for
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, say
from recorder.cli.results.notices import Notice, NoticeFinding, NoticePeriod, StoredNotice, UsedNotice
from recorder.common.clock import utc_now
from recorder.permissions import Act
from recorder.rules import wording
from recorder.rules.notice_schedule import ALL_SERVICES, DEFAULT_LANGUAGE, is_language
from recorder.rules.typed_dates import TypedDateError, moment_in, moment_typed

MOST_WORDS_BYTES = 20_000
NEVER = "never"
"""Instead of a date: give the date up."""

MessageArgument = Annotated[
    str, typer.Argument(metavar="first|second", help="The message.", autocompletion=completion.messages)
]
LanguageOption = Annotated[
    str,
    typer.Option(
        "--language", metavar="TAG", help="Its language: en, cy, ...", autocompletion=completion.message_languages
    ),
]
ServiceOption = Annotated[
    str,
    typer.Option(
        "--service", metavar="NAME", help="For callers of this service only.", show_default="all services",
        autocompletion=completion.services,
    ),
]  # fmt: skip
_FROM = typer.Option("--from", metavar="DATE", help="In force from this day, or day and time.", show_default="now")


def list_notices(context: HomeContext) -> None:
    """List the versions of all messages: in force, to come, and past, by service and language."""
    store = NoticeStore(context.home.notices)
    try:
        rows = listed(store)
    except NoticeError as error:
        fail(str(error))
    columns = [
        ("name", "Message"),
        ("version", "Version"),
        ("language", "Language"),
        ("service", "Service"),
        ("state", "State"),
        ("starts_at", "From"),
        ("ends_at", "Until"),
        ("duration_s", "Length, s"),
        ("set_by", "Set by"),
    ]
    context.print_rows(
        [asdict(row) for row in rows],
        columns,
        empty="there are no messages",
        lines=[_line(*one) for one in _each(rows)],
    )


def listed(store: NoticeStore) -> list[Notice]:
    """Return all versions with their texts and periods, oldest first.

    Raises:
        NoticeError: The catalogue cannot be read.
    """
    periods = store.periods(utc_now())
    return [
        Notice(
            name=one.name, version=one.version, language=one.language, sha256=one.sha256, file=one.file,
            duration_s=one.duration_s, speech_dbfs=one.speech_dbfs, is_placeholder=one.is_placeholder,
            text=store.text_of(one), set_at=moment_json(one.set_at), set_by=one.set_by,
            periods=[
                NoticePeriod(
                    service=period.use.service, state=period.state.value, starts_at=moment_json(period.use.starts_at),
                    ends_at=None if period.ends_at is None else moment_json(period.ends_at),
                    set_at=moment_json(period.use.set_at), set_by=period.use.set_by,
                )
                for period in periods
                if (period.use.name, period.use.version) == (one.name, one.version)
            ],
        )
        for one in store.versions()
    ]  # fmt: skip


def _each(rows: list[Notice]) -> list[tuple[Notice, NoticePeriod | None]]:
    return [(row, period) for row in rows for period in (row.periods or (None,))]


def _line(row: Notice, period: NoticePeriod | None) -> dict[str, Any]:
    fields = {} if period is None else asdict(period)
    return {
        **asdict(row),
        **fields,
        "service": fields.get("service") or "all",
        "state": fields.get("state", "not used"),
    }


def import_notice(
    context: PersonContext,
    message: MessageArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="WAV, FLAC or OGG.")],
    text: Annotated[
        Path | None,
        typer.Option("--text", metavar="FILE", help="Its words.", show_default="the sound's name with .txt"),
    ] = None,
    language: LanguageOption = DEFAULT_LANGUAGE,
    service: ServiceOption = ALL_SERVICES,
    starts: Annotated[str | None, _FROM] = None,
    accept_warnings: Annotated[
        bool, typer.Option("--accept-warnings", help="Store it although `recorder notices check` warns of it.")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Check a sound file, and store it as a new version of a message. The daemon plays it from its date on."""
    _known(context, language, service)
    starts_at, words = _moment(context, starts), _words(text, file)
    person = sign_in_for(context, Act.SET_NOTICE, "a message to callers", subject=message)
    checked = _taken(check_sound(file), accept_warnings=accept_warnings)
    store = NoticeStore(context.home.notices)
    assert checked.loaded is not None
    assert checked.measures is not None
    duration_s, sha256 = checked.loaded.prompt.duration_s, checked.loaded.sha256
    new = NewNotice(
        language=language, service=service, starts_at=starts_at, text=words,
        speech_dbfs=checked.measures.speech_dbfs, sha256=sha256,
    )  # fmt: skip
    try:
        begins = moment_json(store.start_of(starts_at))
        number = store.next_version(message)
        details = {"version": number, "sha256": sha256, "language": language, "service": service, "starts_at": begins}
        if not dry_run:
            audit(
                context.home, AuditNote(act=Act.SET_NOTICE.value, subject=message, details=details), actor=person.actor
            )
            number = store.put(message, file, by=person.name, of=new).version
    except (NoticeError, OSError) as error:
        fail(str(error))
    result = StoredNotice(
        name=message, version=number, language=language, service=service, starts_at=begins, duration_s=duration_s,
        sha256=sha256, has_text=bool(words), warnings=findings_of(checked), dry_run=dry_run,
    )  # fmt: skip
    done = "would be stored" if dry_run else "is stored"
    context.tell(
        result,
        f"message {message}, version {number}, {wording.language(language)}, {duration_s:.1f} s, {done}",
        _begins(context, starts_at, service),
        *(() if words else ("nobody can read it in the console: give its words with --text",)),
    )
    _say_if_unplayed(context, message, language, service)


def use_notice(
    context: PersonContext,
    message: MessageArgument,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="`recorder notices list` shows them.")],
    service: ServiceOption = ALL_SERVICES,
    starts: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DATE",
            help=f'From this day, or day and time; "{NEVER}" gives up its date.',
            show_default="now",
        ),
    ] = None,
) -> None:
    """Bring a stored version into force, now or at a date; or give up the date that a version waits for."""
    _known(context, DEFAULT_LANGUAGE, service)
    is_given_up = starts == NEVER
    starts_at = None if is_given_up else _moment(context, starts)
    person = sign_in_for(context, Act.SET_NOTICE, "a message to callers", subject=message)
    store = NoticeStore(context.home.notices)
    try:
        found = store.usable(message, version, service=service, is_waiting=is_given_up)
        begins = None if is_given_up else moment_json(store.start_of(starts_at))
        details = {
            "version": version, "sha256": found.sha256, "language": found.language, "service": service,
            "starts_at": begins, "is_given_up": is_given_up,
        }  # fmt: skip
        audit(context.home, AuditNote(act=Act.SET_NOTICE.value, subject=message, details=details), actor=person.actor)
        if is_given_up:
            store.withdraw(message, version, service=service)
        else:
            store.use(message, version, service=service, starts_at=starts_at, by=person.name)
    except (NoticeError, OSError) as error:
        fail(str(error))
    result = UsedNotice(name=message, version=version, language=found.language, service=service, starts_at=begins)
    what = f"message {message}, version {version}, {wording.language(found.language)}"
    if not is_given_up:
        _say_if_unplayed(context, message, found.language, service)
    if is_given_up:
        context.tell(result, f"{what}: its date is given up; what is in force stays so")
    else:
        context.tell(result, what, _begins(context, starts_at, service))


def _say_if_unplayed(context: CommandContext, message: str, language: str, service: str) -> None:
    """Say why no call plays a message, if the configuration does not name it."""
    config = context.config
    if config.notice.first != message != config.notice.second:
        say(f"no call plays it: [notice] in recorder.toml has no message {message!r}")
    services = [service] if service else [one.name for one in config.service]
    if not any(language in config.languages_of(one) for one in services):
        where = "add it to [notice] or to [[service]], then run `recorder reload`"
        say(f"no call plays it yet: {language!r} is not among the languages in recorder.toml; {where}")


def _begins(context: CommandContext, starts_at: datetime | None, service: str) -> str:
    whom = f"callers of {service}" if service else "callers"
    if starts_at is None:
        return f"{whom} hear it within seconds, if the daemon runs"
    return f"{whom} hear it from {context.moment(starts_at)}; the daemon needs no reload"


def _known(context: CommandContext, language: str, service: str) -> None:
    """Exit with code 2 if a language is no tag, or a service is not configured."""
    if not is_language(language):
        fail(f"{language!r} is no language tag: give en for English, cy for Welsh", 2)
    known_service(context, service)


def known_service(context: CommandContext, service: str) -> None:
    """Exit with code 2 if a service is not configured; empty is all of them."""
    names = [one.name for one in context.config.service]
    if service and service not in names:
        fail(f"there is no service {service!r}; recorder.toml has {', '.join(names) or 'none'}", 2)


def _moment(context: CommandContext, typed: str | None) -> datetime | None:
    if typed is None:
        return None
    try:
        return moment_in(moment_typed(typed), context.zone, is_end=False)
    except TypedDateError as error:
        fail(f"--from {typed}: {error}", 2)


def _words(text: Path | None, sound: Path) -> str:
    """Return the words of a message: from the file that was given, or from the one beside the sound."""
    beside = sound.with_suffix(".txt")
    path = text or (beside if beside.is_file() else None)
    if path is None:
        return ""
    try:
        size = path.stat().st_size
        if size > MOST_WORDS_BYTES:
            fail(f"{path} has {size:,} bytes: more than anybody reads out; give the words of the message only")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(f"{path} cannot be read as text: {getattr(error, 'strerror', None) or error}")


def _taken(checked: CheckedSound, *, accept_warnings: bool) -> CheckedSound:
    """Return a checked sound, or say what is wrong with it and exit."""
    for one in checked.findings:
        say(f"{one.level.value}: {one.sentence}")
    if checked.errors:
        fail("the file was not stored")
    if checked.warnings and not accept_warnings:
        fail("the file was not stored; listen to it, and give --accept-warnings if callers understand it")
    return checked


def findings_of(checked: CheckedSound) -> list[NoticeFinding]:
    """Return the findings of a check as a result."""
    return [NoticeFinding(level=one.level.value, says=one.says, do=one.do) for one in checked.findings]
