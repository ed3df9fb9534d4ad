"""Passes SRTP keys from session descriptions to the media core, and wipes them here (RFC 4568).

Python cannot guarantee that no copy of a key stays in memory: the SIP message that brought it is a string. The buffers
that can be overwritten are, once the core has the key. The recorder's own keys stay while an offer may repeat them.
"""

from collections.abc import Iterable

from audio.types import SrtpKey, SrtpKeys, SrtpSuite
from sip.sdes import Crypto, KeyPair
from sip.sdp import Description


def for_core(pair: KeyPair | None) -> SrtpKeys | None:
    """Return a key pair as the media core takes it; the key bytes are shared, not copied."""
    return None if pair is None else SrtpKeys(send=_key(pair.ours), receive=_key(pair.theirs))


def _key(crypto: Crypto) -> SrtpKey:
    return SrtpKey(suite=SrtpSuite[crypto.suite], key=crypto.key, mki=crypto.mki, name=crypto.name)


def wipe_offered(description: Description) -> None:
    """Overwrite every key in a peer's description, used or not."""
    for stream in description.streams:
        for crypto in stream.cryptos:
            crypto.wipe()


def wipe_others(ours: Iterable[Crypto], kept: Iterable[Crypto]) -> None:
    """Overwrite the recorder's keys except those in ``kept``, which are compared by name, not by tag."""
    names = {crypto.name for crypto in kept}
    for crypto in ours:
        if crypto.name not in names:
            crypto.wipe()
