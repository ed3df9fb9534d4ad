"""Keys on their way from a session description to the media core, and their end in this process (RFC 4568).

Python cannot promise that no copy of a key stays: the message that brought it is text. What can be overwritten is, once
the core has it; ours stay as long as an offer may have to say them again.
"""

from collections.abc import Iterable

from audio.types import SrtpKey, SrtpKeys, SrtpSuite
from sip.sdes import Crypto, KeyPair
from sip.sdp import Description


def for_core(pair: KeyPair | None) -> SrtpKeys | None:
    """Return what the media core has to know of a pair of keys, which still are the pair's: nothing is copied."""
    return None if pair is None else SrtpKeys(send=_key(pair.ours), receive=_key(pair.theirs))


def _key(crypto: Crypto) -> SrtpKey:
    return SrtpKey(suite=SrtpSuite[crypto.suite], key=crypto.key, mki=crypto.mki, name=crypto.name)


def wipe_offered(description: Description) -> None:
    """Overwrite every key that a peer's description has, taken or not."""
    for stream in description.streams:
        for crypto in stream.cryptos:
            crypto.wipe()


def wipe_others(ours: Iterable[Crypto], kept: Iterable[Crypto]) -> None:
    """Overwrite keys of ours but those that are kept, under whatever tag."""
    names = {crypto.name for crypto in kept}
    for crypto in ours:
        if crypto.name not in names:
            crypto.wipe()
