"""`recorder notices`: the messages that callers hear."""

from pathlib import Path
from typing import Annotated

import typer

from audio.prompts import PromptError, speak
from recorder.access.database import AuditNote
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.cli.context import HomeContext, PersonContext
from recorder.cli.entries import audit
from recorder.cli.live import sign_in_for
from recorder.cli.options import JsonOption
from recorder.cli.output import fail, print_json, say
from recorder.cli.results.site import StoredNotice
from recorder.permissions import Act


def list_notices(context: HomeContext) -> None:
    """List all versions of all messages; the highest version of each is in use."""
    rows = NoticeStore(context.home.notices).versions()
    columns = [
        ("name", "Message"),
        ("version", "Version"),
        ("duration_s", "Length, s"),
        ("set_at", "Set"),
        ("sha256", ""),
    ]
    context.print_rows(rows, columns, empty="there are no messages")


def set_notice(
    context: PersonContext,
    message: Annotated[str, typer.Argument(metavar="first|second")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="WAV, FLAC or OGG.")],
) -> None:
    """Store a sound file as the newest version of a message. Run `recorder reload` to use it."""
    person = sign_in_for(context, Act.SET_NOTICE, "a message to callers", subject=message)
    try:
        stored = NoticeStore(context.home.notices).put(message, file, by=person.name)
    except (NoticeError, OSError) as error:
        fail(str(error))
    details = {"version": stored.version, "sha256": stored.sha256}
    audit(context.home, AuditNote(act=Act.SET_NOTICE.value, subject=message, details=details), actor=person.actor)
    duration_s = stored.prompt.duration_s
    context.tell(
        StoredNotice(name=message, version=stored.version, duration_s=duration_s, sha256=stored.sha256),
        f"message {message}, version {stored.version}: {duration_s:.1f} s; `recorder reload` puts it into use",
    )


def generate_notice(
    text: Annotated[Path, typer.Argument(metavar="TEXTFILE")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.flac")],
    voice: Annotated[str, typer.Option("--voice", help="A voice of espeak-ng.")] = "en-gb",
    json: JsonOption = False,
) -> None:
    """Make a sound file from a text with espeak-ng."""
    try:
        speak(text.read_text(), voice, output)
    except (PromptError, OSError) as error:
        fail(str(error))
    if json:
        print_json({"path": str(output), "voice": voice})
    else:
        say(f"{output} is ready; store it with `recorder notices add first {output}`")
