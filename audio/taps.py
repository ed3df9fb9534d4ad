"""Taps of a relay: what a recording is made from, and its gate.

Commands may come from any thread, in practice the call thread; `Taps.drain` comes from the writer thread. Nothing here
touches a packet: see docs/media-core.md.
"""

from audio._relay import Core
from audio.types import TICKS_PER_S, LegId, TapId, TapOptions

_RING_MARGIN_S = 5.1
"""What a ring may hold beyond the look-back: what came 4 s late and cannot go before the look-back is over, 1 s between
two drains. While nothing comes late, a writer may be late by 4 s. Until it has to, the core takes less (ADR 25)."""
_RING_STEP_TICKS = 2048
"""Rings are as long as whole pages of memory."""


def ring_ticks(look_back_ticks: int) -> int:
    """Return how long the ring of a channel may become, one byte a tick."""
    least = look_back_ticks + round(_RING_MARGIN_S * TICKS_PER_S)
    return -(-least // _RING_STEP_TICKS) * _RING_STEP_TICKS


class Taps:
    """The taps of one media core. Unknown or closed ids raise KeyError, impossible values ValueError.

    Args:
        core: The core, which its owner closes; a closed one raises RuntimeError.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def prepare(self, options: TapOptions) -> None:
        """Have memory ready for the first call, for which its legs and its tap would otherwise wait."""
        look_back = round(options.look_back_s * TICKS_PER_S)
        self._core.prepare(look_back_ticks=look_back, ring_ticks=ring_ticks(look_back))

    def open(
        self,
        left: LegId | None,
        right: LegId | None,
        options: TapOptions,
        *,
        is_closed: bool = False,
        opened_ns: int | None = None,
    ) -> TapId:
        """Begin to record what arrives on two legs of one thread; None where there is nobody yet.

        ``opened_ns`` is the moment of position 0 on the monotonic clock, a moment ago at most; None: now.

        Raises:
            MemoryError: The rings cannot be locked (RLIMIT_MEMLOCK); nothing was opened.
        """
        look_back = round(options.look_back_s * TICKS_PER_S)
        tap = self._core.open_tap(
            left or 0,
            right or 0,
            look_back_ticks=look_back,
            ring_ticks=ring_ticks(look_back),
            mask_left_digits=options.mask_left_digits,
            is_closed=is_closed,
            now_ns=opened_ns,
        )
        return TapId(tap)

    def retarget(self, tap: TapId, left: LegId | None, right: LegId | None) -> None:
        """Record other legs on the same time line, as after a transfer; spans and gate stay as they are."""
        self._core.retarget_tap(tap, left or 0, right or 0)

    def close_gate(self, tap: TapId, erase_s: float) -> float:
        """Stop keeping audio, and erase the last ``erase_s`` seconds; returns the position from which, seconds."""
        return self._core.gate_close(tap, round(erase_s * TICKS_PER_S)) / TICKS_PER_S

    def open_gate(self, tap: TapId) -> float:
        """Keep audio again; returns the position from which, seconds."""
        return self._core.gate_open(tap) / TICKS_PER_S

    def mask(self, tap: TapId, from_s: float, to_s: float) -> None:
        """Silence a span of the call on both channels for good, in seconds of position."""
        self._core.gate_mask(tap, round(from_s * TICKS_PER_S), round(to_s * TICKS_PER_S))

    def silenced(self, tap: TapId) -> list[tuple[int, int]]:
        """Take the spans [start, end), in ticks, that were silenced since this was last asked for; ascending."""
        return self._core.tap_silenced(tap)

    def position_s(self, tap: TapId) -> float:
        """Return how long the tap has been open, seconds."""
        return self._core.tap_now(tap) / TICKS_PER_S

    def drain(self, tap: TapId, out: bytearray | memoryview, *, is_final: bool = False) -> tuple[int, bool]:
        """Fill ``out`` with a block of what is older than the look-back, or of everything at the end.

        Returns:
            Its length in bytes, and whether more waits because ``out`` was full.
        """
        return self._core.drain_tap(tap, out, is_final=is_final)

    def packets(self, tap: TapId) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return, left then right, the packets that came while the gate was open, and those missing between them."""
        (left, right), (left_lost, right_lost) = self._core.tap_packets(tap)
        return (left, left_lost), (right, right_lost)

    def release(self, tap: TapId) -> None:
        """End a tap; what it still holds is wiped."""
        self._core.release_tap(tap)
