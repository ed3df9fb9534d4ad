"""`recorder notice`: the messages that callers hear."""

from pathlib import Path
from typing import Annotated

import typer

from audio.prompts import PromptError, speak
from recorder.access.database import AuditNote
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
    print_json,
    print_table,
    say,
)
from recorder.permissions import Act

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
