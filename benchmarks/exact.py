"""Is a recording what was sent, byte for byte, and do its two sides meet when it is played? Reads opened containers.

What was sent is known: each payload names its stream and number, and both determine its bytes (core/load.h).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.streams import PAYLOAD_BYTES, intact
from storage.alignment import Alignment
from storage.runs import ANCHOR, AUDIO, LOST, PCMA, TICKS_PER_S, Run, parse

_SENT_AT = slice(8, 16)
"""Where a payload has its time of sending."""
_SAMPLED = 50
"""One packet in so many, a second's, is looked at for when it is heard."""


@dataclass(slots=True)
class Side:
    """One channel as it is read, block after block.

    Attributes:
        stream: The stream it should hold, from its first packet on.
        packets: How many of its packets were found, whole and one after another.
        problem: What was found first that is not as it was sent, or "".
        anchors: Position and arrival, as `storage.alignment` takes them.
        sent: Position and time of sending (ns) of a packet a second.
    """

    stream: int
    packets: int = 0
    problem: str = ""
    anchors: list[tuple[int, int]] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    _next: int | None = None
    _rest: bytes = b""

    def take(self, run: Run) -> None:
        """Take the next run of this channel."""
        if self.problem:
            return
        if run.kind == ANCHOR:
            self.anchors.append((run.start, run.aux))
        elif run.kind == LOST:
            self.problem = f"{run.length} samples are lost at {run.start}"
        elif run.kind == AUDIO:
            self._compare(run)

    def end(self) -> None:
        """Say that there is no more."""
        if not self.problem and self._rest:
            self.problem = f"packet {self.packets} is cut"

    def _compare(self, run: Run) -> None:
        if run.codec != PCMA:
            self.problem = f"codec {run.codec} at {run.start}"
        elif self._next is not None and run.start != self._next:
            self.problem = f"{run.start - self._next} samples of silence at {self._next}"
        else:
            self._next = run.start + run.length
            at, held = run.start - len(self._rest), self._rest + bytes(run.payload)
            count = len(held) // PAYLOAD_BYTES
            for packet in range(-self.packets % _SAMPLED, count, _SAMPLED):
                payload = held[packet * PAYLOAD_BYTES : (packet + 1) * PAYLOAD_BYTES][_SENT_AT]
                self.sent.append((at + packet * PAYLOAD_BYTES, int.from_bytes(payload, "little")))
            good = intact(self.stream, self.packets, held)
            self.packets += good
            self._rest = held[count * PAYLOAD_BYTES :]
            if good < count:
                self.problem = f"packet {self.packets} at {at + good * PAYLOAD_BYTES} is not what was sent"


def read_sides(blocks: Iterable[bytes], streams: tuple[int, int]) -> tuple[Side, Side]:
    """Compare both channels of a recording with what their streams sent."""
    sides = Side(streams[0]), Side(streams[1])
    for block in blocks:
        for run in parse(block):
            sides[run.channel].take(run)
    for side in sides:
        side.end()
    return sides


def misalignment_ms(sides: Sequence[Side], *, is_aligned: bool = True) -> float:
    """Return by how much what was said at one moment is heard at two, at worst, when both sides are played.

    Args:
        sides: Two channels that were read to their ends.
        is_aligned: False: by the stored positions alone, without the anchors.
    """
    (left_s, left), (right_s, right) = (_delays(side, is_aligned=is_aligned) for side in sides)
    shared = (left_s >= right_s[0]) & (left_s <= right_s[-1])
    apart = left[shared] - np.interp(left_s[shared], right_s, right)
    return round(1000 * float(np.abs(apart).max()), 2)


def _delays(side: Side, *, is_aligned: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when packets were said, seconds, and how long after it they are heard, but for a constant of the call."""
    positions, sent_ns = np.array(side.sent, dtype=np.int64).T
    times = positions.copy()
    if is_aligned:
        alignment = Alignment(side.anchors)
        for _ in range(
            8
        ):  # the time at which a position is heard: drift is slow, so each step is a thousand times nearer
            times += positions - alignment.positions(times)
    said_s = _said_s(sent_ns / 1e9)
    return said_s, times / TICKS_PER_S - said_s


def _said_s(sent_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return when packets were due: a sender that is held up sends late what its microphone took in time.

    Its clock is even, so packets lie on a line, above which a late one lies; most are not late.
    """
    half = len(sent_s) // 2
    step_s = np.median(sent_s[half : 2 * half] - sent_s[:half]) / half
    on_line = step_s * np.arange(len(sent_s))
    said: NDArray[np.float64] = on_line + (sent_s - on_line).min()
    return said
