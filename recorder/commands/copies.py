"""Commands that open a recording: export and play."""

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from recorder.commands.records import IdArgument, opened_index, row_of
from recorder.commands.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PassphraseOption,
    PasswordOption,
    ReasonOption,
    fail,
    load_home,
    permit,
    print_json,
    progress_bar,
    say,
    sign_in,
)
from recorder.config import Config
from recorder.domain.access import Act
from recorder.erasing import refuse_locked
from recorder.home import Home
from recorder.opening import open_reader
from recorder.problems import ProblemError
from storage.erasures import Erasures
from storage.errors import StorageError
from storage.export import Exported, Format
from storage.export import export as write_copy
from storage.types import RecordingRow


def export(
    recording: IdArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A file that is not there yet.")],
    format_: Annotated[Format, typer.Option("--format", help="g711 is exact; the others are decoded.")] = Format.WAV,
    name: AsOption = None,
    password_file: PasswordOption = None,
    passphrase_file: PassphraseOption = None,
    reason: ReasonOption = "",
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Write a copy of a recording, caller on the left. Takes a person and a reason."""
    place, config = load_home(home)
    person = sign_in(place, name, password_file, "an export")
    row = row_of(place, config, recording)
    _refuse_locked(place, config, row)
    details = {"format": format_.value, "file": output.name}
    permission = permit(
        place, Act.EXPORT, person, reason=reason, subject=row.id, operator=row.operator, details=details
    )
    copy = _copy(place, config, row, output, format_, passphrase_file)
    if json:
        print_json(
            {
                "id": row.id,
                "path": str(output),
                "format": format_.value,
                "bytes": copy.bytes,
                "sha256": copy.sha256,
                "duration_s": copy.duration_s,
                "break_glass": permission.is_break_glass,
            }
        )
    else:
        say(f"{output}: {copy.duration_s:.1f} s, {copy.bytes} bytes, sha256 {copy.sha256}")


def _copy(
    home: Home, config: Config, row: RecordingRow, output: Path, form: Format, passphrase_file: Path | None
) -> Exported:
    try:
        reader = open_reader(home, config, row, passphrase_file=passphrase_file)
        with progress_bar("exporting", row.duration_s) as progress:
            return write_copy(reader, output, form, duration_s=row.duration_s, progress=progress)
    except StorageError as error:
        fail(str(error))


def play(
    recording: IdArgument,
    name: AsOption = None,
    password_file: PasswordOption = None,
    passphrase_file: PassphraseOption = None,
    reason: ReasonOption = "",
    home: HomeOption = Path(),
) -> None:
    """Play a recording on this machine's loudspeaker. Takes a person and a reason."""
    place, config = load_home(home)
    person = sign_in(place, name, password_file, "listening")
    row = row_of(place, config, recording)
    _refuse_locked(place, config, row)
    player = shutil.which("play") or shutil.which("aplay")
    if player is None:
        fail("there is no player here: install sox or alsa-utils, or use `recorder export`")
    permit(place, Act.PLAY, person, reason=reason, subject=row.id, operator=row.operator, details={"where": "shell"})
    # Memory only: a copy for the player must not touch a disk.
    copy = Path("/dev/shm") / f"recorder-{row.id}.wav"  # noqa: S108 - made O_EXCL and 0600 by the export
    try:
        _copy(place, config, row, copy, Format.WAV, passphrase_file)
        arguments = [player, "-q", str(copy)]
        if subprocess.run(arguments, check=False).returncode != 0:  # noqa: S603 - a fixed program and our own file
            fail(f"{player} could not play; is there a sound device? `recorder export` makes a file instead")
    finally:
        copy.unlink(missing_ok=True)


def _refuse_locked(home: Home, config: Config, row: RecordingRow) -> None:
    """Leave with a sentence if part of a recording is to be erased."""
    with opened_index(home, config) as index:
        try:
            refuse_locked(Erasures(index.database), row.id)
        except ProblemError as error:
            fail(error.detail)
