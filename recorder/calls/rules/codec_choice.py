"""The choice of codecs in offers and answers, so that both legs can be bridged. Pure.

Callers are answered with G.711 first, so that an officer's phone that supports nothing else can always be joined.
"""

from collections.abc import Iterable

from audio.types import Codec

G711 = (Codec.PCMA, Codec.PCMU)
PREFERENCE: tuple[Codec, ...] = (Codec.PCMA, Codec.PCMU, Codec.G722)
"""The codecs of an offer without constraints, in the order of preference."""


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
    """Return the codec to answer A with, given B's codecs, best first; None if they cannot be bridged."""
    usable = tuple(offered)
    for codec_b in known:
        if codec_b in usable:
            return codec_b
        if codec_b in G711 and (law := next((codec for codec in G711 if codec in usable), None)) is not None:
            return law
    return None


def answers_to_reoffer(current: tuple[Codec, ...], other: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """Return the codecs with which a side's re-offer can be answered, best first.

    The present one comes first, then those that can be bridged to what the other side is sent first. The other rate
    comes last, and only if the other side has it too: then its audio changes within its stream.

    Args:
        current: The side's codecs, the one that it is sent first.
        other: The other side's; empty if they are not known yet.
    """
    far = other or PREFERENCE
    kept = [codec for codec in current[:1] if not other or can_bridge(codec, far[0])]
    bridged = [codec for there in far for codec in PREFERENCE if can_bridge(codec, there)]
    return tuple(dict.fromkeys((*kept, *bridged)))


def still_bridged(codecs: Iterable[Codec], other: Iterable[Codec]) -> tuple[Codec, ...]:
    """Return those of a leg's codecs that can be bridged to the other leg's; all of them if none can."""
    codecs, other = tuple(codecs), tuple(other)
    return tuple(codec for codec in codecs if any(can_bridge(codec, far) for far in other)) or codecs


def can_bridge(a: Codec, b: Codec) -> bool:
    """Tell whether two codecs can be bridged: they are the same, or both are G.711."""
    return a is b or (a in G711 and b in G711)
