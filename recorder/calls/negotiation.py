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


def answer_to_first(offered: Iterable[Codec], known: Iterable[Codec]) -> Codec | None:
    """Return the codec to answer A with once it is known what B has, best first; None when they cannot be bridged."""
    usable = tuple(offered)
    for theirs in known:
        if theirs in usable:
            return theirs
        if theirs in G711 and (same := next((codec for codec in G711 if codec in usable), None)) is not None:
            return same
    return None


def still_bridged(codecs: Iterable[Codec], other: Iterable[Codec]) -> tuple[Codec, ...]:
    """Return those of a leg's codecs that the other leg can take; all where it can take none, or has none yet."""
    codecs, other = tuple(codecs), tuple(other)
    return tuple(one for one in codecs if any(can_bridge(one, there) for there in other)) or codecs


def can_bridge(a: Codec, b: Codec) -> bool:
    """Tell whether two legs can be joined: the same codec, or both laws of G.711."""
    return a is b or (a in G711 and b in G711)
