import base64
import contextlib
import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sip import offer_answer, sdes, sdp
from sip.events import Body
from sip.sdes import Srtp

LOCAL = offer_answer.LocalStream(ip="192.0.2.1", rtp_port=30000, session_id=77)
HEAD = "v=0\r\no=- 5 6 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"


def parse(text: str) -> sdp.Description:
    return sdp.parse(text.encode())


def audio(lines: str, head: str = HEAD) -> sdp.MediaDescription:
    return parse(head + lines).streams[0]


def test_a_plain_offer() -> None:
    read = parse(HEAD + "m=audio 4000 RTP/AVP 8 0 9 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n")
    stream = read.streams[0]
    assert (read.session_id, read.version) == ("5", 6)
    assert (stream.ip, stream.port, stream.rtcp_port, stream.ptime_ms) == ("192.0.2.9", 4000, 4001, 30)
    assert stream.codecs == ((8, 8), (0, 0), (9, 9))
    assert stream.event_pts == (101,)
    assert stream.sends
    assert stream.receives


@pytest.mark.parametrize(
    ("line", "codecs"),
    [
        ("m=audio 4 RTP/AVP 0\r\na=rtpmap:0 pcmu/8000a\r\n", ((0, 0),)),
        ("m=audio 4 RTP/AVP 0\r\na=rtpmap:0 nonsense\r\n", ((0, 0),)),
        ("m=audio 4 rtp/avp 96 97\r\na=rtpmap:96 pcma/8000/1\r\na=RTPMAP:97 G722/8000\r\n", ((96, 8), (97, 9))),
        ("m=audio 4 RTP/AVP 96\r\na=rtpmap:96 PCMA/16000\r\n", ()),
        ("m=audio 4 RTP/AVP 3 18 4\r\n", ()),
        ("m=audio 4 RTP/AVP 8 8 999 x\r\n", ((8, 8),)),
    ],
)
def test_codecs(line: str, codecs: tuple[tuple[int, int], ...]) -> None:
    assert audio(line).codecs == codecs


def test_events_on_any_type_but_only_at_8000_hz() -> None:
    lines = "m=audio 4 RTP/AVP 9 100 98\r\na=rtpmap:100 telephone-event/48000\r\na=rtpmap:98 Telephone-Event/8000\r\n"
    assert audio(lines).event_pts == (98,)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    assert audio((HEAD + "m=audio 4 RTP/AVP 8\r\n").replace("\r\n", end), "").port == 4


def test_addresses_of_session_and_stream() -> None:
    assert audio("m=audio 4 RTP/AVP 8\r\nc=IN IP4 203.0.113.5/127\r\n").ip == "203.0.113.5"
    assert audio("m=audio 4 RTP/AVP 8\r\nc=IN IP6 2001:DB8::1\r\n", "v=0\r\n").ip == "2001:db8::1"
    assert audio("m=audio 4 RTP/AVP 8\r\n", "v=0\r\n").ip is None
    assert not audio("m=audio 4 RTP/AVP 8\r\nc=IN IP4 host.example\r\n", "v=0\r\n").is_usable
    assert not audio("m=audio 4 RTP/AVP 8\r\n", "v=0\r\n").is_usable


def test_rtcp_port() -> None:
    assert audio("m=audio 4000 RTP/AVP 8\r\na=rtcp:5555 IN IP4 192.0.2.9\r\n").rtcp_port == 5555
    assert audio("m=audio 4000 RTP/AVP 8\r\na=rtcp:99999\r\n").rtcp_port == 4001


@pytest.mark.parametrize(
    ("head", "lines", "is_hold"),
    [
        (HEAD, "", False),
        (HEAD, "a=sendonly\r\n", True),
        (HEAD, "a=inactive\r\n", True),
        (HEAD, "a=recvonly\r\n", False),
        (HEAD, "c=IN IP4 0.0.0.0\r\n", True),
        (HEAD + "a=sendonly\r\n", "", True),
        (HEAD + "a=sendonly\r\n", "a=sendrecv\r\n", False),
    ],
)
def test_hold(head: str, lines: str, is_hold: bool) -> None:
    assert audio("m=audio 4 RTP/AVP 8\r\n" + lines, head).is_hold is is_hold


def test_answer_rejects_every_line_but_the_first_usable_audio_in_order() -> None:
    offer = parse(
        HEAD
        + "m=audio 0 RTP/AVP 8\r\nm=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/SAVP 8\r\nm=audio 4002 RTP/AVP 9 0\r\n"
        + "m=audio 4004 RTP/AVP 8\r\nm=image 4006 udptl t38\r\n"
    )
    written, media = offer_answer.answer(offer, LOCAL)
    lines = [line for line in written.content.decode().split("\r\n") if line.startswith("m=")]
    assert lines == [
        "m=audio 0 RTP/AVP 8",
        "m=video 0 RTP/AVP 96",
        "m=audio 0 RTP/SAVP 8",
        "m=audio 30000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 8",
        "m=image 0 udptl t38",
    ]
    assert (media.codec, media.remote_rtp_port) == (0, 4002)


def test_a_later_offer_of_ours_has_every_line_of_the_session_in_its_place() -> None:
    lines = (
        "m=image 4100 udptl t38\r\n"
        "m=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\n"
        "m=video 4200 RTP/AVP 101\r\na=rtpmap:101 H264/90000\r\n"
    )
    written, _ = offer_answer.answer(sdp.parse((HEAD + lines).encode()), LOCAL)
    offered = offer_answer.local_offer(dataclasses.replace(written.local, codecs=(8,), receives=False))
    wanted = ["m=image 0 udptl t38", "m=audio 30000 RTP/AVP 8 96", "m=video 0 RTP/AVP 101"]
    for content in (written.content, offered.content):
        assert [line for line in content.decode().split("\r\n") if line.startswith("m=")] == wanted
    assert b"a=rtpmap:96 telephone-event/8000" in offered.content
    assert f"o=- {LOCAL.session_id} {LOCAL.version + 1} ".encode() in offered.content
    media = offer_answer.answered(offered.local, sdp.parse((HEAD + lines).encode()))
    assert (media.send_event_pt, media.receive_event_pt) == (96, 96)


@pytest.mark.parametrize(("formats", "event_pt"), [("8", 101), ("8 101", 127), ("8 101 127", 126)])
def test_a_payload_type_of_the_peer_means_nothing_else_in_a_later_offer_of_ours(formats: str, event_pt: int) -> None:
    lines = f"m=audio 4000 RTP/AVP {formats}\r\na=rtpmap:101 opus/48000/2\r\na=rtpmap:127 iLBC/8000\r\n"
    written, media = offer_answer.answer(sdp.parse((HEAD + lines).encode()), LOCAL)
    assert media.receive_event_pt is None
    assert f" {event_pt}\r\n".encode() in offer_answer.local_offer(written.local).content


def test_answer_chooses_by_preference_and_keeps_the_offered_types() -> None:
    offer = parse(HEAD + "m=audio 4 RTP/AVP 9 97 96\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:96 telephone-event/8000\r\n")
    written, media = offer_answer.answer(offer, LOCAL)
    assert b"m=audio 30000 RTP/AVP 97 96\r\na=rtpmap:97 PCMA/8000\r\n" in written.content
    assert (media.codec, media.send_pt, media.receive_pt, media.send_event_pt) == (8, 97, 97, 96)
    _, wide = offer_answer.answer(offer, LOCAL, preference=(sdp.G722,))
    assert (wide.codec, wide.send_pt) == (9, 9)
    _, silent = offer_answer.answer(offer, dataclasses.replace(LOCAL, event_pt=None))
    assert silent.send_event_pt is None


@pytest.mark.parametrize(
    ("theirs", "ours", "sends", "receives"),
    [
        ("sendonly", "recvonly", False, True),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
        ("sendrecv", "sendrecv", True, True),
    ],
)
def test_directions_of_an_answer(theirs: str, ours: str, sends: bool, receives: bool) -> None:
    offer = parse(HEAD + f"m=audio 4 RTP/AVP 8\r\na={theirs}\r\n")
    written, media = offer_answer.answer(offer, LOCAL)
    assert f"a={ours}\r\n".encode() in written.content
    assert (media.sends, media.receives) == (sends, receives)
    _, resumed = offer_answer.answer(parse(HEAD + "m=audio 4 RTP/AVP 8\r\n"), written.local)
    assert resumed.sends
    assert resumed.receives


def test_hold_by_address_has_no_remote() -> None:
    _, media = offer_answer.answer(parse(HEAD + "m=audio 4 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n"), LOCAL)
    assert (media.remote_ip, media.is_hold, media.sends, media.receives) == (None, True, False, True)


def test_version_rises_only_on_change() -> None:
    first = offer_answer.local_offer(LOCAL)
    again = offer_answer.local_offer(first.local)
    assert again.content == first.content
    held = offer_answer.local_offer(dataclasses.replace(again.local, receives=False))
    assert b"o=- 77 2 IN IP4 192.0.2.1" in held.content
    assert b"a=sendonly" in held.content


def test_our_offer_answered() -> None:
    offer = offer_answer.local_offer(LOCAL)
    assert b"m=audio 30000 RTP/AVP 8 0 9 101\r\n" in offer.content
    reply = parse(HEAD + "m=audio 4 RTP/AVP 18 0 99\r\na=rtpmap:99 telephone-event/8000\r\na=recvonly\r\n")
    media = offer_answer.answered(offer.local, reply)
    assert (media.codec, media.send_pt, media.receive_pt) == (0, 0, 0)
    assert (media.send_event_pt, media.receive_event_pt) == (99, 101)
    assert (media.sends, media.receives) == (True, False)


def test_every_codec_of_an_answer_that_we_offered_may_come() -> None:
    offer = offer_answer.local_offer(dataclasses.replace(LOCAL, codecs=(8, 0)))
    reply = parse(HEAD + "m=audio 4 RTP/AVP 0 9 96 8 18\r\na=rtpmap:96 PCMA/8000\r\n")
    media = offer_answer.answered(offer.local, reply)
    assert (media.codec, media.send_pt, media.receive_pt) == (0, 0, 0)
    assert media.more == (offer_answer.NegotiatedFormat(codec=8, send_pt=96, receive_pt=8),)


def test_an_answer_takes_more_codecs_only_where_asked_to() -> None:
    offer = parse(HEAD + "m=audio 4 RTP/AVP 9 97 0\r\na=rtpmap:97 PCMA/8000\r\n")
    written, media = offer_answer.answer(offer, LOCAL, more=(8, 9, 8))
    assert b"m=audio 30000 RTP/AVP 97 9\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n" in written.content
    assert media.more == (offer_answer.NegotiatedFormat(codec=9, send_pt=9, receive_pt=9),)
    _, single = offer_answer.answer(offer, LOCAL)
    assert single.more == ()


@pytest.mark.parametrize(
    "lines", ["", "m=audio 0 RTP/AVP 8\r\n", "m=audio 4 RTP/AVP 18\r\n", "m=image 4 udptl t38\r\n"]
)
def test_unacceptable(lines: str) -> None:
    with pytest.raises(sdp.UnacceptableError):
        offer_answer.answer(parse(HEAD + lines), LOCAL)
    with pytest.raises(sdp.UnacceptableError):
        offer_answer.answered(LOCAL, parse(HEAD + lines))


@pytest.mark.parametrize(
    "ip",
    [
        "IP4 224.0.0.1", "IP4 239.255.0.9/127", "IP4 255.255.255.255", "IP4 240.0.0.1", "IP6 ff02::1",
        "IP6 ::ffff:224.0.0.1",
    ],
)  # fmt: skip
def test_an_address_of_a_group_is_refused(ip: str) -> None:
    text = HEAD + f"m=audio 4 RTP/AVP 8\r\nc=IN {ip}\r\n"
    assert not parse(text).streams[0].suits(Srtp.OPTIONAL, is_heard_only=True)
    with pytest.raises(sdp.UnacceptableError):
        offer_answer.answer(parse(text), LOCAL)


@pytest.mark.parametrize(
    ("ours", "theirs", "is_reachable"),
    [
        ("192.0.2.1", "IP4 192.0.2.9", True),
        ("192.0.2.1", "IP4 0.0.0.0", True),
        ("192.0.2.1", "IP6 ::", True),
        ("192.0.2.1", "IP6 2001:db8::9", False),
        ("2001:db8::1", "IP6 2001:db8::9", True),
        ("2001:db8::1", "IP4 192.0.2.9", False),
        ("2001:db8::1", "IP6 fe80::1%eth0", False),
    ],
)
def test_only_addresses_of_our_ip_version_are_reachable(ours: str, theirs: str, is_reachable: bool) -> None:
    read = parse(HEAD + f"m=audio 4 RTP/AVP 8\r\nc=IN {theirs}\r\n").reachable_from(ours)
    assert read.streams[0].is_usable is is_reachable
    assert read.streams[0].is_audible


def test_of_two_streams_the_one_that_can_be_reached_is_answered() -> None:
    text = HEAD + "m=audio 4 RTP/AVP 8\r\nc=IN IP6 2001:db8::9\r\nm=audio 6 RTP/AVP 8\r\n"
    written, media = offer_answer.answer(parse(text).reachable_from(LOCAL.ip), LOCAL)
    assert b"m=audio 0 RTP/AVP 8\r\nm=audio 30000 RTP/AVP 8\r\n" in written.content
    assert (media.remote_ip, media.remote_rtp_port) == ("192.0.2.9", 6)


def test_answer_without_what_we_offered() -> None:
    with pytest.raises(sdp.UnacceptableError):
        offer_answer.answered(dataclasses.replace(LOCAL, codecs=(8,)), parse(HEAD + "m=audio 4 RTP/AVP 0\r\n"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "v=1\r\n",
        HEAD + "m=audio\r\n",
        HEAD + "m=audio 70000 RTP/AVP 8\r\n",
        HEAD + "m=audio -1 RTP/AVP 8\r\n",
        HEAD + "m=audio 4 RTP/AVP 8\r\n" * 33,
        "v=0\r\n" + "a=x\r\n" * 20000,
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(sdp.SdpError):
        parse(text)


def test_ipv6_of_ours() -> None:
    written = offer_answer.local_offer(dataclasses.replace(LOCAL, ip="2001:db8::2"))
    assert b"c=IN IP6 2001:db8::2\r\n" in written.content


SAMPLE = (HEAD + "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n").encode()


@given(st.integers(0, len(SAMPLE)), st.binary(max_size=40), st.integers(0, 30))
@example(0, b"", 0)
def test_fuzz_cut_insert_trail(at: int, noise: bytes, dropped: int) -> None:
    """Whatever comes, only SdpError is raised, and what is read can be answered or is unacceptable."""
    with contextlib.suppress(sdp.SdpError):
        offer_answer.answer(sdp.parse(SAMPLE[:at] + noise + SAMPLE[at + dropped :]), LOCAL)


@given(st.binary(max_size=200))
def test_fuzz_random(data: bytes) -> None:
    """Whatever follows the first line, only SdpError is raised."""
    for prefix in (b"", b"v=0\n", SAMPLE):
        with contextlib.suppress(sdp.SdpError):
            offer_answer.answer(sdp.parse(prefix + data), LOCAL)


def test_every_prefix_is_read_or_refused() -> None:
    for length in range(len(SAMPLE)):
        with contextlib.suppress(sdp.SdpError):
            sdp.parse(SAMPLE[:length])


CRYPTO = "a=crypto:{} AES_CM_128_HMAC_SHA1_{} inline:{}\r\n"
KEYS = [base64.b64encode(bytes([n] * 30)).decode() for n in (1, 2, 3)]
SECURE = HEAD + "m=audio 4000 RTP/SAVP 8\r\n"


def keys_of(written: offer_answer.Written) -> tuple[sdes.Crypto, ...]:
    return sdp.parse(written.content).streams[0].cryptos


def test_srtp_is_answered_in_kind_with_the_tag_and_a_key_of_ours() -> None:
    lines = SECURE + CRYPTO.format(4, "GCM", KEYS[0]) + CRYPTO.format(5, 32, KEYS[1]) + CRYPTO.format(6, 80, KEYS[2])
    written, media = offer_answer.answer(parse(lines), LOCAL)
    assert b"m=audio 30000 RTP/SAVP 8\r\n" in written.content
    assert media.srtp is not None
    assert (media.srtp.theirs.tag, bytes(media.srtp.theirs.key)) == (5, bytes([2] * 30)), "the first that can be used"
    assert [(crypto.tag, crypto.suite, crypto.name) for crypto in keys_of(written)] == [
        (5, "AES_CM_128_HMAC_SHA1_32", media.srtp.ours.name)
    ]
    assert media.srtp.ours.key != media.srtp.theirs.key


def test_our_key_stays_while_the_peers_does() -> None:
    lines = SECURE + CRYPTO.format(1, 80, KEYS[0])
    written, first = offer_answer.answer(parse(lines), LOCAL)
    assert first.srtp is not None
    first.srtp.theirs.wipe()
    again, second = offer_answer.answer(parse(lines.replace("crypto:1", "crypto:2")), written.local)
    assert second.srtp is not None
    assert (second.srtp.ours.name, second.srtp.ours.tag) == (first.srtp.ours.name, 2)
    assert keys_of(offer_answer.local_offer(again.local))[0].name == first.srtp.ours.name, (
        "and so it is in offers of ours"
    )
    rekeyed, third = offer_answer.answer(parse(SECURE + CRYPTO.format(1, 80, KEYS[1])), again.local)
    assert third.srtp is not None
    assert third.srtp.ours.name != first.srtp.ours.name
    assert rekeyed.local.version == again.local.version + 1
    plain, fourth = offer_answer.answer(parse(SECURE.replace("SAVP", "AVP")), rekeyed.local)
    assert fourth.srtp is None
    assert b"RTP/AVP" in offer_answer.local_offer(plain.local).content


@pytest.mark.parametrize(
    ("lines", "srtp", "profile"),
    [
        (SECURE + CRYPTO.format(1, 80, KEYS[0]), Srtp.OFF, None),
        (SECURE + CRYPTO.format(1, 80, KEYS[0]), Srtp.OPTIONAL, "RTP/SAVP"),
        (SECURE.replace("SAVP", "SAVPF") + CRYPTO.format(1, 80, KEYS[0]), Srtp.REQUIRED, "RTP/SAVPF"),
        (SECURE + CRYPTO.format(1, "GCM", KEYS[0]), Srtp.OPTIONAL, None),
        (SECURE, Srtp.OPTIONAL, None),
        (SECURE.replace("RTP/SAVP", "UDP/TLS/RTP/SAVP") + CRYPTO.format(1, 80, KEYS[0]), Srtp.OPTIONAL, None),
        (SECURE.replace("SAVP", "AVP") + CRYPTO.format(1, 80, KEYS[0]), Srtp.OPTIONAL, "RTP/AVP"),
        (SECURE.replace("SAVP", "AVP") + CRYPTO.format(1, 80, KEYS[0]), Srtp.REQUIRED, None),
    ],
)
def test_what_is_answered(lines: str, srtp: Srtp, profile: str | None) -> None:
    local = dataclasses.replace(LOCAL, srtp=srtp)
    if profile is None:
        with pytest.raises(sdp.UnacceptableError):
            offer_answer.answer(parse(lines), local)
        return
    written, media = offer_answer.answer(parse(lines), local)
    assert f"m=audio 30000 {profile} 8\r\n".encode() in written.content
    assert (media.srtp is not None) == (profile != "RTP/AVP") == (b"a=crypto" in written.content)


def test_an_offer_of_keys_answered() -> None:
    local = dataclasses.replace(LOCAL, cryptos=sdes.offered())
    offer = offer_answer.local_offer(local)
    assert b"m=audio 30000 RTP/SAVP" in offer.content
    assert [crypto.tag for crypto in keys_of(offer)] == [1, 2]
    media = offer_answer.answered(offer.local, parse(SECURE + CRYPTO.format(2, 32, KEYS[0])))
    assert media.srtp is not None
    assert media.srtp.ours == local.cryptos[1]
    kept = offer.local.settled(media.srtp)
    assert [crypto.tag for crypto in keys_of(offer_answer.local_offer(kept))] == [2]


@pytest.mark.parametrize(
    "lines",
    [
        SECURE,
        SECURE.replace("SAVP", "AVP"),
        SECURE + CRYPTO.format(2, 80, KEYS[0]),  # tag 2 is the suite with the short tag
        SECURE + CRYPTO.format(3, 80, KEYS[0]),
    ],
)
def test_an_offer_of_keys_that_is_not_answered(lines: str) -> None:
    offer = offer_answer.local_offer(dataclasses.replace(LOCAL, cryptos=sdes.offered()))
    with pytest.raises(sdp.UnacceptableError):
        offer_answer.answered(offer.local, parse(lines))


def test_srtp_that_was_not_offered_is_no_answer() -> None:
    with pytest.raises(sdp.UnacceptableError):
        offer_answer.answered(LOCAL, parse(SECURE + CRYPTO.format(1, 80, KEYS[0])))


def test_no_key_is_shown_or_kept_in_words() -> None:
    offer = parse(SECURE + CRYPTO.format(1, 80, KEYS[0]))
    written, media = offer_answer.answer(offer, LOCAL)
    ours = base64.b64encode(written.local.cryptos[0].key).decode()
    shown = repr((offer, written, media, Body(content=written.content)))
    for key in (KEYS[0], ours, repr(bytes(written.local.cryptos[0].key))[2:-1]):
        assert key not in shown
    assert ours not in written.local.text
