"""`recorder recordings play`: plays a recording on this machine's loudspeaker."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from recorder.access.database import AuditNote
from recorder.access.listening.appointing import break_glass
from recorder.access.listening.emergencies import Emergency
from recorder.cli.context import CommandContext, KeysContext
from recorder.cli.entries import audit, permit
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail, progress_bar, say
from recorder.cli.records import IdArgument, opened_index, row_known
from recorder.cli.requests import access_repositories
from recorder.cli.results.recordings import Played
from recorder.common.clock import utc_now
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Allowed, Person
from recorder.recordings.home_stores import open_reader
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.rules import times
from recorder.rules.authorisation import may
from recorder.rules.call_parts import relation, silenced, whole_for, withheld_of
from recorder.rules.requesting import AccessRequest
from recorder.rules.spans import Spans, in_seconds
from storage.claims import Claims
from storage.encoding import CopyFormat
from storage.erasures import Erasures
from storage.export import prepare
from storage.types import RecordingRow


def play(context: KeysContext, recording: IdArgument, reason: ReasonOption = "") -> None:
    """Play a recording on this machine's loudspeaker.

    Needs an access grant (`recorder requests add`). ICT may listen without one, with a reason; the data protection
    officer is then notified.
    """
    person = context.sign_in("listening")
    row, leave = row_known(context, person, recording, Act.PLAY)
    _refuse_locked(context, row, person)
    player = shutil.which("play") or shutil.which("aplay")
    if player is None:
        fail("no audio player found: install sox or alsa-utils, or use `recorder recordings export`")
    heard = _permit(context, row, person, leave, reason)
    withheld = withheld_of(row, heard)
    if withheld:
        listed = ", ".join(
            f"{times.position(start_s, exact=True)} to {times.position(end_s, exact=True)}"
            for start_s, end_s in withheld
        )
        say(f"silent, because your grant does not cover it: {listed}")
    reader = open_reader(context.home, context.config, row, passphrase_file=context.passphrase_file)
    copy = prepare(reader, CopyFormat.WAV, redactions=silenced(row, heard), duration_s=row.duration_s)
    with progress_bar("playing", copy.duration_s) as progress:
        is_played = _played(player, copy.chunks(progress))
    if not is_played:
        fail(f"{player} could not play; check the sound device, or make a file with `recorder recordings export`")
    context.tell(Played(recording=row.id, duration_s=copy.duration_s, withheld=[[*one] for one in withheld]))


def _permit(
    context: CommandContext, row: RecordingRow, person: Person, leave: AccessRequest | None, reason: str
) -> Spans | None:
    """Log that the person listens, by grant or by break-glass; exit if refused.

    Returns:
        The spans that may be heard; None is the whole recording.
    """
    operator, _ = relation(person, row)
    why = leave.wish.reason if leave else reason
    decision = may(person, Act.PLAY, reason=why, operator=operator, has_grant=leave is not None)
    heard = None if leave is None else whole_for(row, leave.heard(row.id))
    part = {} if heard is None else {"part": [[*one] for one in in_seconds(heard)]}

    def enter(emergency: Emergency | None = None) -> None:
        details = {"where": "shell", "request": leave.id if leave else None}
        permit(
            context.home, Act.PLAY, person, reason=why, subject=row.id, operator=operator,
            details=details | part | ({} if emergency is None else {"emergency": emergency.id}),
            has_grant=leave is not None,
        )  # fmt: skip

    if not (isinstance(decision, Allowed) and decision.break_glass):
        enter()
        return heard
    with opened_index(context) as index:
        break_glass(access_repositories(context.home, index), person, row.id, reason, enter=enter)
    return None


def _played(player: str, chunks: Iterator[bytes]) -> bool:
    """Pipe a WAV file to a player, without writing it to disk. Returns whether the player took all of it."""
    arguments = [player, "-q", *(["-t", "wav"] if Path(player).name == "play" else []), "-"]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE)  # noqa: S603 - a fixed program
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            for chunk in chunks:
                pipe.write(chunk)
    except BrokenPipeError:
        pass  # the exit code says whether it was stopped or failed
    except BaseException:
        process.kill()
        raise
    finally:
        code = process.wait()
    return code == 0


def _refuse_locked(context: CommandContext, row: RecordingRow, person: Person) -> None:
    with opened_index(context) as index:
        try:
            refuse_locked(Erasures(index.database), row.id)
            refuse_restricted(Claims(index.database), row.id, utc_now())
        except ProblemError as error:
            refused = AuditNote(act=f"{Act.PLAY}.refused", subject=row.id, details={"why": error.detail})
            audit(context.home, refused, actor=person.actor)
            fail(error.detail)
