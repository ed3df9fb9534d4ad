"""Comparing what was kept or heard with what a voice said, byte for byte."""

import math
from dataclasses import dataclass

import numpy as np

from audio.types import Codec, Prompt
from tests.helpers.voices import FRAME, TICKS_PER_S, Voice

SILENT_ALAW, SILENT_ULAW = 0xD5, 0xFF
PACKET_S = 0.02


@dataclass(frozen=True)
class Kept:
    """What a channel of a recording holds of a voice, which is all that it holds.

    Attributes:
        voice: Who spoke.
        offset: Tick of the voice's stream at position 0 of the channel.
        spans: Start and end, in positions, of what was kept.
        length: Length of the channel, positions.
    """

    voice: Voice
    offset: int
    spans: list[tuple[int, int]]
    length: int

    @property
    def end_tick(self) -> int:
        """Return the tick of the voice's stream after the last that was kept."""
        return self.offset + self.spans[-1][1]

    def has_some_of(self, start: int, end: int) -> bool:
        """Tell whether anything between two positions was kept."""
        return any(first < end and start < last for first, last in self.spans)

    def position_of(self, moment_s: float) -> float:
        """Return where in the channel, seconds, stands what was sent at a moment."""
        tick, at_s = next((t, s) for t, s in reversed(self.voice.sent) if s <= moment_s)
        return (tick - self.offset) / TICKS_PER_S + (moment_s - at_s)

    def frames_between(self, from_s: float, to_s: float) -> tuple[int, int]:
        """Return how many frames of [from_s, to_s) there are, as `_said` tells, and how many were kept whole."""
        sent = self._said(from_s, to_s)
        kept = sum(any(start <= p and p + FRAME <= end for start, end in self.spans) for p in sent)
        return len(sent), kept

    def bytes_between(self, from_s: float, to_s: float) -> int:
        """Return how many bytes were kept of the frames of [from_s, to_s), as `_said` tells."""
        sent = self._said(from_s, to_s)
        return sum(max(0, min(p + FRAME, end) - max(p, start)) for p in sent for start, end in self.spans)

    def _said(self, from_s: float, to_s: float) -> list[int]:
        """Return the positions of the frames that were due from one moment on, and sent before another.

        A voice that was held up says after a moment what was due before it. The recorder goes by the timestamp: after
        an opening it keeps none of that, and an erasure leaves it. How late a frame was is told by those after it,
        since the clock of a stream stops while a voice is hushed.
        """
        said: list[int] = []
        base_s = math.inf
        for tick, at_s in reversed(self.voice.sent):
            own_s = at_s - tick / TICKS_PER_S
            base_s = min(base_s, own_s)
            late_ticks = round((own_s - base_s) * TICKS_PER_S)
            if from_s <= at_s - late_ticks / TICKS_PER_S and at_s < to_s:
                said.append(tick - self.offset)
        return said


def kept_of(channel: bytes, voice: Voice, *, silence: int = SILENT_ALAW) -> Kept:
    """Find a voice in a channel; fails unless every byte is the voice's, at one offset, or silence."""
    values = np.frombuffer(channel, np.uint8)
    heard = np.flatnonzero(values != silence)
    assert heard.size, "nothing was kept of the voice"
    edges = np.flatnonzero(np.diff(heard) > 1)
    starts, ends = heard[np.r_[0, edges + 1]], heard[np.r_[edges, heard.size - 1]] + 1
    longest = int(np.argmax(ends - starts))
    sample_at = int(starts[longest])
    sample = channel[sample_at : sample_at + 16]
    found = voice.stream.find(sample)
    assert found >= 0, f"what stands at position {sample_at} was never said"
    assert voice.stream.find(sample, found + 1) < 0
    offset = found - sample_at
    said = np.frombuffer(voice.stream, np.uint8)[heard + offset]
    wrong = np.flatnonzero(values[heard] != said)
    assert wrong.size == 0, f"{wrong.size} of {heard.size} bytes differ, the first at position {heard[wrong[0]]}"
    return Kept(voice, offset, [(int(s), int(e)) for s, e in zip(starts, ends, strict=True)], len(channel))


def heard_frames(listener: Voice, speaker: Voice, *, since_s: float = 0.0) -> list[int]:
    """Return the ticks of the frames of ``speaker`` that came to ``listener``, in the order of their timestamps.

    Fails if a frame was altered or stands at the wrong time: what is not the speaker's is left out.
    """
    ticks = {speaker.stream[tick : tick + FRAME]: tick for tick, _ in list(speaker.sent)}
    found: list[int] = []
    distance: int | None = None
    for one in listener.heard_audio(since_s):
        tick = ticks.get(one.packet.payload)
        if tick is None:
            continue
        apart = (one.packet.timestamp - tick) % (1 << 32)
        assert distance in (None, apart), f"tick {tick} came {apart - (distance or 0)} ticks off its time"
        distance = apart
        found.append(tick)
    return found


def is_gapless(ticks: list[int]) -> bool:
    """Tell whether frames follow one another without loss, repeat or change of order."""
    return ticks == list(range(ticks[0], ticks[-1] + FRAME, FRAME))


def times_heard(listener: Voice, prompt: Prompt, *, law: Codec = Codec.PCMA) -> int:
    """Return how often a prompt came to a listener whole, in packets that follow one another."""
    return b"".join(one.packet.payload for one in listener.heard_audio()).count(prompt.audio[law])
