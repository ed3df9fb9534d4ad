"""What offers and answers become: which codec both legs share, and which words SDP gets from us. Pure.

Callers are answered with G.711 first, so that an officer's phone that knows nothing else can always be joined.
"""

from collections.abc import Iterable

from audio.types import Codec

G711 = (Codec.PCMA, Codec.PCMU)
PREFERENCE: tuple[Codec, ...] = (Codec.PCMA, Codec.PCMU, Codec.G722)
"""What we offer when the far side has not spoken first, and the order in which we choose."""


def offer_to_second(first: Iterable[Codec]) -> tuple[Codec, ...]:
    """Return the codecs to offer to B, given those that A can still use.

    Both G.711 laws are offered when A can use either: they are converted. G.722 is offered only if A has it: it is
    never converted.
    """
    usable = tuple(first)
    laws = PREFERENCE[:2] if any(codec in G711 for codec in usable) else ()
    wide = (Codec.G722,) if Codec.G722 in usable else ()
    return laws + wide


def answer_to_first(offered: Iterable[Codec], chosen_by_second: Codec) -> Codec | None:
    """Return the codec to answer A with once B has chosen, or None when they cannot be bridged."""
    usable = tuple(offered)
    if chosen_by_second in usable:
        return chosen_by_second
    if chosen_by_second in G711:
        return next((codec for codec in G711 if codec in usable), None)
    return None


def can_bridge(a: Codec, b: Codec) -> bool:
    """Tell whether two legs can be joined: the same codec, or both laws of G.711."""
    return a is b or (a in G711 and b in G711)
