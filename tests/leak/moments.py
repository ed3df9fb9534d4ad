"""How packets arrive at each moment: distortions of a voice. On the studio's thread.

A distortion begins with the first secret frame and reaches as far as its moment says; events and tones pass untouched
where a key would not be one any more.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from tests.leak.media import TICKS, Band, Distortion, Voice

_WHOLE = (Band.TONE, Band.GAP)
"""Packets of a key: out of order or lost it may not be recognised, which is no leak."""


class Late(Distortion):
    """Packets of the closed time arrive after it, 10 ms to 1.2 s after recording goes on."""

    def __init__(self, rng: random.Random, _acted: int = 0) -> None:
        self._rng = rng
        self._held: list[bytes] = []

    def spread(self, band: Band, data: bytes) -> Iterable[tuple[float, bytes]]:
        """Keep four in ten back."""
        if band is Band.SECRET and self._rng.random() < 0.4:
            self._held.append(data)
            return ()
        return ((0.0, data),)

    def release(self) -> list[tuple[float, bytes]]:
        """Return what was kept back."""
        held, self._held = self._held, []
        return [(self._rng.uniform(0.01, 1.2), data) for data in held]


class TooLate(Late):
    """They arrive later than any timestamp is believed (4 s), and before the look-back is over."""

    def release(self) -> list[tuple[float, bytes]]:
        """Return what was kept back."""
        held, self._held = self._held, []
        return [(self._rng.uniform(4.05, 4.8), data) for data in held]


class Step(Distortion):
    """The clock steps while secrets are said, at the first secret frame or some way into it, and perhaps back again.

    Args:
        rng: What is random.
        acted: Secret frames before the act.
        direction: 1 or -1.
        is_before: Step before anybody has asked for a pause: among what the pause has still to erase.
    """

    def __init__(self, rng: random.Random, acted: int, direction: int, *, is_before: bool) -> None:
        self._size_s = rng.choice((rng.uniform(0.02, 0.5), rng.uniform(0.5, 4.0), rng.uniform(4.0, 60.0)))
        self._direction = direction
        self._at = rng.randrange(1, max(acted // 2, 3)) if is_before else acted + rng.randrange(2, 20)
        self._back_at = self._at + rng.randrange(5, 25) if rng.random() < 0.3 else -1
        self._secrets = 0

    def shape(self, voice: Voice, band: Band) -> None:
        """Count secret frames, and step at one."""
        if band is not Band.SECRET:
            return
        self._secrets += 1
        if self._secrets == self._at:
            voice.jump(self._direction * round(self._size_s * TICKS))
        elif self._secrets == self._back_at:
            voice.jump(-self._direction * round(self._size_s * TICKS))


class NewSource(Distortion):
    """A new SSRC, with a clock of its own, inside the closed time; sometimes two of them.

    Half of the time the network is slower for it: what was said last while closed arrives after the opening, and
    nothing but the recorder's guard tells that it was said before.
    """

    def __init__(self, rng: random.Random, acted: int) -> None:
        first = acted + rng.randrange(1, 20)
        self._at = {first, first + rng.randrange(3, 20)} if rng.random() < 0.3 else {first}
        self._delay_s = rng.choice((0.0, rng.uniform(0.06, 0.17)))
        self._secrets = 0
        self._is_new = False

    def shape(self, voice: Voice, band: Band) -> None:
        """Count secret frames, and change source at some."""
        if band is Band.SECRET:
            self._secrets += 1
            if self._secrets in self._at:
                voice.new_source()
                self._is_new = True

    def spread(self, band: Band, data: bytes) -> Iterable[tuple[float, bytes]]:
        """Delay what the new source sends."""
        return ((self._delay_s if self._is_new and band is not Band.TONE else 0.0, data),)


class OutOfOrder(Distortion):
    """Every third packet comes 20 to 120 ms late, so that others pass it."""

    def __init__(self, rng: random.Random, _acted: int = 0) -> None:
        self._rng = rng

    def spread(self, band: Band, data: bytes) -> Iterable[tuple[float, bytes]]:
        """Delay some."""
        is_late = band not in _WHOLE and self._rng.random() < 0.35
        return ((self._rng.choice((0.02, 0.03, 0.05, 0.08, 0.12)) if is_late else 0.0, data),)


class Duplicated(Distortion):
    """Every packet comes twice, up to 0.5 s apart; some of the closed time once more after it."""

    def __init__(self, rng: random.Random, _acted: int = 0) -> None:
        self._rng = rng
        self._held: list[bytes] = []

    def spread(self, band: Band, data: bytes) -> Iterable[tuple[float, bytes]]:
        """Send twice."""
        if band is Band.SECRET and self._rng.random() < 0.2:
            self._held.append(data)
        return ((0.0, data), (self._rng.choice((0.001, 0.02, 0.1, 0.5)), data))

    def release(self) -> list[tuple[float, bytes]]:
        """Return the third copies."""
        held, self._held = self._held, []
        return [(self._rng.uniform(0.01, 0.8), data) for data in held]


class Loss(Distortion):
    """A tenth of the packets is lost, in bursts of up to five."""

    def __init__(self, rng: random.Random, _acted: int = 0) -> None:
        self._rng = rng
        self._burst = 0

    def spread(self, band: Band, data: bytes) -> Iterable[tuple[float, bytes]]:
        """Drop some."""
        if band in _WHOLE:
            return ((0.0, data),)
        if self._burst == 0 and self._rng.random() < 0.04:
            self._burst = self._rng.randrange(1, 6)
        if self._burst:
            self._burst -= 1
            return ()
        return ((0.0, data),)


class Gap(Distortion):
    """Nothing is sent for most of the closed time (silence suppression); the clock goes on."""

    def __init__(self, rng: random.Random, acted: int) -> None:
        self._from, self._secrets = acted + rng.randrange(-10, 15), 0

    def spread(self, band: Band, data: bytes) -> Iterable[tuple[float, bytes]]:
        """Send nothing after some secret frames, but every twentieth."""
        if band is not Band.SECRET:
            return ((0.0, data),)
        self._secrets += 1
        return ((0.0, data),) if self._secrets < self._from or self._secrets % 20 == 0 else ()


DISTORTIONS: Mapping[str, Callable[[random.Random, int], Distortion]] = MappingProxyType(
    {
        "late": Late,
        "too_late": TooLate,
        "step_forward": lambda rng, acted: Step(rng, acted, 1, is_before=False),
        "step_backward": lambda rng, acted: Step(rng, acted, -1, is_before=False),
        "step_before": lambda rng, acted: Step(rng, acted, rng.choice((1, -1)), is_before=True),
        "new_source": NewSource,
        "out_of_order": OutOfOrder,
        "duplicated": Duplicated,
        "loss": Loss,
        "gap": Gap,
    }
)
"""By moment, made from what is random and the secret frames before the act; the others leave packets alone."""
