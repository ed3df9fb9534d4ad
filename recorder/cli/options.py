"""Options and arguments that commands share."""

from pathlib import Path
from typing import Annotated

import typer

from recorder.cli import completion

HomeOption = Annotated[
    Path,
    typer.Option("-C", "--home", envvar="RECORDER_HOME", help="The recorder's home.", show_default="current folder"),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

AsOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Your account.", autocompletion=completion.accounts)
]

PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="A file with the password; asked for if not given."),
]

PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="A file with the private keys' passphrase, instead of the configured one.",
    ),
]

AccountArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="An account, by its name.", autocompletion=completion.accounts)
]

MicrophoneOption = Annotated[
    str,
    typer.Option(
        "--microphone", metavar="NAME", help="Microphone, by a part of its name.", show_default="default",
        autocompletion=completion.microphones,
    ),
]  # fmt: skip

LoudspeakerOption = Annotated[
    str,
    typer.Option(
        "--speaker", metavar="NAME", help="Loudspeaker, by a part of its name.", show_default="default",
        autocompletion=completion.loudspeakers,
    ),
]  # fmt: skip

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Reason, for the audit log.")]

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")]

YesOption = Annotated[bool, typer.Option("--yes", help="Do it. This cannot be undone.")]
