"""What the player of a recording's page is given: lengths, peaks and the spans of a call. Pure.

Nothing is decoded in the browser but what its media element plays: the waveform is drawn from the stored peaks.
"""

import base64
from dataclasses import dataclass

from recorder.web.waveform import SLOTS_PER_S, Waveform, waveform_of
from storage.types import RecordingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """A player.

    Attributes:
        audio: URL of the audio; empty while nobody may listen.
        start_s: Where in the recording the audio begins, seconds: a copy may hold a part.
        length_s: Length of the audio, seconds.
        left: Peaks of the caller, ten a second, base64.
        right: Peaks of the officer.
        waveform: The drawing for browsers without scripts; None if there are no peaks.
        is_preview: Whether the audio is that of a copy which is not made yet.
    """

    audio: str
    start_s: float
    length_s: float
    left: str
    right: str
    waveform: Waveform | None
    is_preview: bool = False


def player_of(row: RecordingRow, audio: str = "", *, preview_s: tuple[float, float] | None = None) -> Player:
    """Return the player of a recording.

    Args:
        row: The recording, as it is shown to the person.
        audio: URL of the audio, or empty.
        preview_s: From and to of a copy that is heard before it is made; None is the recording itself.
    """
    waveform = waveform_of(row)
    whole_s = waveform.length_s if waveform else row.duration_s
    start_s, end_s = preview_s or (0.0, whole_s)
    first, last = round(start_s * SLOTS_PER_S), round(end_s * SLOTS_PER_S)
    left, right = (base64.b64encode(side[first:last]).decode() for side in row.peaks)
    return Player(
        audio=audio, start_s=start_s, length_s=end_s - start_s, left=left, right=right, waveform=waveform,
        is_preview=preview_s is not None,
    )  # fmt: skip
