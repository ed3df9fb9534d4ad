"""What a channel still holds in memory; rules in docs/media-core.md, "Ring".

Pure. The core keeps a locked ring of bytes; the reference a dictionary, since only the answers count.
"""

from collections.abc import Iterator

from audio.blocks import AudioRun
from audio.types import Channel, Codec


class Ring:
    """The bytes of one channel between ``edge`` and ``edge + ticks`` that may still be erased."""

    def __init__(self, channel: Channel, ticks: int) -> None:
        self.channel = channel
        self.edge = 0
        self.late = 0
        self.lost: tuple[int, int] | None = None
        self._ticks = ticks
        self._bytes: dict[int, tuple[int, Codec]] = {}

    def write(self, position: int, value: int, codec: Codec) -> bool:
        """Keep one byte: what is below the edge is late, what is past the end is lost, what is present stays.

        Returns:
            Whether it was kept.
        """
        if position < self.edge:
            self.late += 1
        elif position >= self.edge + self._ticks:
            low, high = self.lost or (position, position + 1)
            self.lost = (min(low, position), max(high, position + 1))
        elif position not in self._bytes:
            self._bytes[position] = value, codec
            return True
        return False

    def erase(self, start: int, end: int) -> None:
        """Forget the bytes at positions [start, end)."""
        self._bytes = {at: held for at, held in self._bytes.items() if not start <= at < end}

    def runs(self, end: int) -> Iterator[AudioRun]:
        """Yield the runs of one codec below ``end``, ascending; nothing is taken out."""
        held = sorted((at, value, codec) for at, (value, codec) in self._bytes.items() if at < end)
        first = 0
        for i, (at, _value, codec) in enumerate(held):
            if i + 1 == len(held) or held[i + 1][0] != at + 1 or held[i + 1][2] != codec:
                payload = bytes(value for _at, value, _codec in held[first : i + 1])
                yield AudioRun(channel=self.channel, codec=codec, start=held[first][0], payload=payload)
                first = i + 1

    def advance(self, edge: int) -> None:
        """Move the edge up and forget what lies below it."""
        self.edge = max(self.edge, edge)
        self.erase(0, self.edge)
