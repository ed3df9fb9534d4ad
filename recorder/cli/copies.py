"""`recorder recordings play`: plays a recording on this machine's loudspeaker."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audio.portaudio import SoundError
from audio.sound_devices import Loudspeaker, open_loudspeaker
from recorder.access.database import AuditNote
from recorder.access.listening.appointing import break_glass
from recorder.access.listening.emergencies import Emergency
from recorder.cli.context import CommandContext, KeysContext
from recorder.cli.entries import audit, permit, refuse, shell_audit
from recorder.cli.identity import people_of, requests_of
from recorder.cli.options import LoudspeakerOption, ReasonOption
from recorder.cli.output import fail, progress_bar, say
from recorder.cli.playback import Playback
from recorder.cli.playback_display import shown
from recorder.cli.records import IdArgument, opened_index, row_known, row_of
from recorder.cli.requests import access_repositories
from recorder.cli.results.recordings import Played
from recorder.cli.terminal import pressed_keys
from recorder.common.clock import utc_now
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Allowed, Person, Refusal
from recorder.recordings.home_stores import open_reader
from recorder.retention.erasure_repositories import refuse_locked
from recorder.retention.restricting import refuse_restricted
from recorder.rules import times
from recorder.rules.authorisation import may
from recorder.rules.call_parts import relation, silenced, whole_for, withheld_of
from recorder.rules.requesting import GRANT_ENDED, AccessRequest, standing
from recorder.rules.spans import Spans, in_seconds, merged, span_of
from recorder.web.listening import SERVED, Listen
from storage.claims import Claims
from storage.encoding import WAVE_HEAD_BYTES, CopyFormat
from storage.erasures import Erasures
from storage.export import Copy, prepare
from storage.types import RecordingRow

_NARROW_HZ = 8000
_ENDED = "your permission to listen has ended: ask for a new one with `recorder requests add`"
_FRAME_BYTES = 4
_CHUNK_S = 0.1
"""Sound that is played between two looks at the keys, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Permission:
    """What a person may hear, and how long.

    Attributes:
        listen: The listen, with what the audit log says of it.
        heard: Spans that may be heard; None is the whole recording.
    """

    listen: Listen
    heard: Spans | None


def play(
    context: KeysContext,
    recording: IdArgument,
    reason: ReasonOption = "",
    speaker: LoudspeakerOption = "",
) -> None:
    """Play a recording on this machine's loudspeaker.

    Needs an access grant (`recorder requests add`). ICT may listen without one, with a reason; the data protection
    officer is then notified. Keys: space pauses, the arrows skip 5 seconds, 1 and 2 play one channel, q ends.
    """
    person = context.sign_in("listening")
    row, leave = row_known(context, person, recording, Act.PLAY)
    _refuse_locked(context, row, person)
    _refuse_unpermitted(context, row, person, leave, reason)
    player = _player_instead(speaker)
    permission = _permit(context, row, person, leave, reason)
    withheld = withheld_of(row, permission.heard)
    _say_withheld(withheld)
    reader = open_reader(context.home, context.config, row, passphrase_file=context.passphrase_file)
    copy = prepare(reader, CopyFormat.WAV, redactions=silenced(row, permission.heard), duration_s=row.duration_s)
    if player is None:
        with open_loudspeaker(copy.rate_hz, channels=2, device=speaker) as loudspeaker:
            _play_here(context, row, person, permission.listen, copy, loudspeaker)
    else:
        _play_there(context, person, permission.listen, player, copy)
    context.tell(Played(recording=row.id, duration_s=copy.duration_s, withheld=[[*one] for one in withheld]))


def _say_withheld(withheld: Sequence[tuple[float, float]]) -> None:
    if withheld:
        listed = ", ".join(
            f"{times.position(start_s, exact=True)} to {times.position(end_s, exact=True)}"
            for start_s, end_s in withheld
        )
        say(f"silent, because your grant does not cover it: {listed}")


def _refuse_unpermitted(
    context: CommandContext, row: RecordingRow, person: Person, leave: AccessRequest | None, reason: str
) -> None:
    """Refuse a person who may not listen before the sound device is looked at: the refusal is logged in any case."""
    operator, _ = relation(person, row)
    why = leave.wish.reason if leave else reason
    if isinstance(may(person, Act.PLAY, reason=why, operator=operator, has_grant=leave is not None), Refusal):
        _permit(context, row, person, leave, reason)


def _player_instead(speaker: str) -> str | None:
    """Return None if the loudspeaker can be opened, or else the program that plays; exit if there is neither.

    It comes before the audit entry, so that nobody is said to have listened on a machine without sound.
    """
    try:
        open_loudspeaker(_NARROW_HZ, channels=2, device=speaker).close()
    except SoundError as error:
        player = shutil.which("play") or shutil.which("aplay")
        if player is None or speaker:
            fail(f"{error} Or make a file with `recorder recordings export`.")
        return player
    return None


def _permit(
    context: CommandContext, row: RecordingRow, person: Person, leave: AccessRequest | None, reason: str
) -> _Permission:
    """Log that the person listens, by grant or by break-glass; exit if refused."""
    operator, _ = relation(person, row)
    why = leave.wish.reason if leave else reason
    decision = may(person, Act.PLAY, reason=why, operator=operator, has_grant=leave is not None)
    heard = None if leave is None else whole_for(row, leave.heard(row.id))
    part = {} if heard is None else {"part": [[*one] for one in in_seconds(heard)]}
    until = utc_now() if leave is None else leave.until
    assert until is not None, "a grant has an end"
    listen = Listen(
        account=person.name, recording=row.id, reason=why, until=until, request=leave.id if leave else "", heard=heard
    )

    def enter(emergency: Emergency | None = None) -> None:
        if emergency is not None:
            listen.emergency, listen.until = emergency.id, emergency.until
        details = {"where": "shell", "request": leave.id if leave else None}
        permit(
            context.home, Act.PLAY, person, reason=why, subject=row.id, operator=operator,
            details=details | part | ({} if emergency is None else {"emergency": emergency.id}),
            has_grant=leave is not None,
        )  # fmt: skip

    if not (isinstance(decision, Allowed) and decision.break_glass):
        enter()
        return _Permission(listen=listen, heard=heard)
    with opened_index(context) as index:
        break_glass(access_repositories(context.home, index), person, row.id, reason, enter=enter)
    return _Permission(listen=listen, heard=None)


def _play_here(
    context: CommandContext, row: RecordingRow, person: Person, listen: Listen, copy: Copy, loudspeaker: Loudspeaker
) -> None:
    """Play on a loudspeaker until the end or until the person ends it, and log the spans that were heard."""
    playback = Playback(copy)
    try:
        with pressed_keys() as keys, shown(playback) as show:
            while not playback.is_over:
                for key in keys.read():
                    playback.press(key)
                _check_permission(context, row, person, listen, playback)
                frames = playback.take(round(copy.rate_hz * _CHUNK_S))
                loudspeaker.write(frames)
                frames.fill(0)
                show()
        if playback.position_s >= playback.duration_s:
            loudspeaker.finish()
    except KeyboardInterrupt:
        say("")
    finally:
        playback.close()
        _note_heard(context, person, listen, playback)


def _check_permission(
    context: CommandContext, row: RecordingRow, person: Person, listen: Listen, playback: Playback
) -> None:
    """Exit if the permission has ended.

    After a pause or a skip also if the account has no right any more, or if the recording was erased, locked or
    restricted meanwhile.
    """
    if utc_now() >= listen.until:
        fail(_ENDED)
    if not playback.needs_check:
        return
    playback.needs_check = False
    found = people_of(context.home).find(person.name)
    if found is None:
        fail(_ENDED)
    operator, _ = relation(found, row)
    now = replace(found, is_proven=person.is_proven)
    decision = may(now, Act.PLAY, reason=listen.reason, operator=operator, has_grant=bool(listen.request))
    if isinstance(decision, Refusal):
        fail(_ENDED)
    _refuse_locked(context, row, person)
    if row_of(context, row.id).sha256 != row.sha256:
        fail(f"{row.id} has been changed since you began; play it again to hear it as it is now")
    _refuse_ended(context, found, row, listen)


def _refuse_ended(context: CommandContext, person: Person, row: RecordingRow, listen: Listen) -> None:
    """Exit if the person's role or teams changed so that the grant does not cover any more what is played."""
    grant = requests_of(context.home).get(listen.request) if listen.request else None
    stands = None if grant is None else standing(person, grant, row)
    if grant is not None and (stands is None or whole_for(row, stands.heard(row.id)) != listen.heard):
        refuse(context.home, Act.PLAY, person, GRANT_ENDED, subject=row.id)


def _note_heard(context: CommandContext, person: Person, listen: Listen, playback: Playback) -> None:
    rate_hz = playback.audio.rate_hz
    _note_spans(context, person, listen, [(start / rate_hz, end / rate_hz) for start, end in playback.heard])


def _note_spans(context: CommandContext, person: Person, listen: Listen, heard: Sequence[tuple[float, float]]) -> None:
    sent = merged(span_of(*one) for one in heard)
    spans = [{"from_s": start, "to_s": end} for start, end in in_seconds(listen.audible(sent))]
    shell_audit(context.home).note_late(SERVED, person.actor, listen.recording, {"spans": spans, **listen.marks})


def _play_there(context: CommandContext, person: Person, listen: Listen, player: str, copy: Copy) -> None:
    """Pipe a recording to another program until its end or that of the permission, and log what it got."""
    sent_bytes = 0

    def permitted(chunks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal sent_bytes
        for chunk in chunks:
            if utc_now() >= listen.until:
                fail(_ENDED)
            sent_bytes += len(chunk)
            yield chunk

    try:
        with progress_bar("playing", copy.duration_s) as progress:
            is_played = _played(player, permitted(copy.chunks(progress)))
    finally:
        sent_s = (sent_bytes - WAVE_HEAD_BYTES) / (copy.rate_hz * _FRAME_BYTES)
        _note_spans(context, person, listen, [(0.0, sent_s)] if sent_s > 0 else [])
    if not is_played:
        fail(f"{player} could not play; check the sound device, or make a file with `recorder recordings export`")


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
