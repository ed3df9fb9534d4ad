"""Keys on their way to the media core: nothing is copied, and what is not needed any more is overwritten."""

from recorder.calls.srtp_keys import for_core, wipe_offered, wipe_others
from sip import sdes, sdp
from sip.sdes import KeyPair, Suite

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 8\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB|2^20|1:4\r\n"
    b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC\r\n"
)


def test_a_key_that_the_core_has_is_the_one_that_is_wiped() -> None:
    (stream,) = sdp.parse(OFFER).streams
    pair = KeyPair(ours=sdes.new(1, Suite.AES_CM_128_HMAC_SHA1_80), theirs=stream.cryptos[0])
    keys = for_core(pair)
    assert keys is not None
    assert (bytes(keys.receive.key), keys.receive.mki, keys.send.mki) == (bytes([1] * 30), b"\0\0\0\1", b"")
    assert (keys.receive.suite.name, len(keys.send.key)) == ("AES_CM_128_HMAC_SHA1_80", 30)
    buffer = keys.receive.key
    pair.theirs.wipe()
    assert buffer == bytearray()
    assert keys.receive.name == stream.cryptos[0].name
    assert for_core(None) is None
    assert "key" not in repr(keys).replace("SrtpKey", "")


def test_every_key_of_an_offer_is_wiped() -> None:
    offer = sdp.parse(OFFER)
    wipe_offered(offer)
    assert [crypto.key for crypto in offer.streams[0].cryptos] == [bytearray(), bytearray()]


def test_ours_are_wiped_but_the_one_that_was_settled() -> None:
    ours = sdes.offered()
    wipe_others(ours, kept=(ours[1],))
    assert [len(crypto.key) for crypto in ours] == [0, 30]
    wipe_others(ours, kept=())
    assert [len(crypto.key) for crypto in ours] == [0, 0]
