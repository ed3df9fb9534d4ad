"""Lines of a recording session: held, added, removed, encrypted, mixed; pauses and keys."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.dialogs import Address
from benchmarks.messages import parse
from storage.g711 import TRANSCODE
from tests.helpers.exactness import PACKET_S, SILENT_ALAW, Kept, kept_of
from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import REQUIRE, Line, Session, ports, sections
from tests.helpers.siprec_policy import METADATA, Site, document
from tests.helpers.siprec_shapes import packed
from tests.helpers.virtual.media import TurnedStudio
from tests.helpers.virtual.siprec import TurnedClient, siprec_site
from tests.helpers.voices import FRAME, PCMA, PCMU, TICKS_PER_S, Voice

ERASE_S = 0.5
TO_ALAW = bytes(TRANSCODE[PCMU, PCMA])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    edits = (("dead_rtp_s = 10.0", "dead_rtp_s = 0.2"),)
    with siprec_site(tmp_path_factory.mktemp("lines"), edits=edits) as (home, clients):
        yield Site(home, clients)


def re_offer(session: Session, method: str = "INVITE") -> bytes:
    """Send the lines as they are now; returns the answer, and has every line that is sent stream to it."""
    answer = session.ask(method, session.sdp(), "application/sdp")
    assert (answer.status, answer.value("Content-Type")) == (200, "application/sdp")
    for line, port in zip(session.lines, ports(answer.body), strict=True):
        if line.direction == "inactive" or not port:
            line.voice.hush()
    session.talk(answer)
    return answer.body


def version(content: bytes) -> tuple[str, int]:
    fields = content.split(b"o=")[1].split(b"\r\n")[0].decode().split()
    return fields[1], int(fields[2])


def both(site: Site, session: Session, *, least_s: float = 0.3) -> tuple[dict[str, Any], list[Kept]]:
    """Assert that the channels hold the voices of the first two lines; returns the row and what was kept of each."""
    row = site.home.row_of(session.call.caller.user)
    found = []
    for channel, line in zip(site.home.copy(row["id"])[:2], session.lines, strict=False):
        found.append(kept_of(channel, line.voice))
        assert sum(end - start for start, end in found[-1].spans) > least_s * TICKS_PER_S
    return row, found


def whole(site: Site, session: Session, *, least_s: float = 0.3) -> dict[str, Any]:
    """Assert the same; returns the row."""
    return both(site, session, least_s=least_s)[0]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_hold_is_answered_inactive_on_the_same_ports_and_the_recording_goes_on(site: Site, method: str) -> None:
    session = site.session()
    first = session.invite().body
    session.talk_for(0.3)
    for line in session.lines:
        line.direction = "inactive"
    held = re_offer(session, method)
    assert all("a=inactive" in lines for lines in sections(held))
    held_s = time.monotonic()
    eventually(lambda: time.monotonic() > held_s + 0.4, "a hold of 0.4 s")
    for line in session.lines:
        line.direction = "sendonly"
    again = re_offer(session, method)
    assert all("a=recvonly" in lines for lines in sections(again))
    assert ports(first) == ports(held) == ports(again)
    identifier, number = version(first)
    assert [version(one) for one in (held, again)] == [(identifier, number + 1), (identifier, number + 2)]
    session.talk_for(0.3)
    session.bye()
    row = whole(site, session)
    assert row["duration_s"] > 0.9, "silence is as long as the hold was"


def test_a_session_that_begins_inactive(site: Site) -> None:
    session = site.session()
    for line in session.lines:
        line.direction = "inactive"
    answer = session.invite()
    assert all("a=inactive" in lines for lines in sections(answer.body))
    for line in session.lines:
        line.direction = "sendonly"
    assert ports(re_offer(session)) == ports(answer.body)
    session.talk_for(0.4)
    session.bye()
    whole(site, session)


def test_a_line_is_added_and_another_taken_away(site: Site) -> None:
    session = site.session()
    first = ports(session.invite().body)
    session.talk_for(0.4)
    third = Line(session.client.studio.voice(), "3")
    session.lines.append(third)
    added = ports(re_offer(session))
    assert added[:2] == first
    assert added[2] not in (0, *first)
    session.lines[1].port = 0
    gone = ports(re_offer(session, "UPDATE"))
    assert gone == [first[0], 0, added[2]]
    call = session.call
    officer = call.officer.__class__(user="2001", name="Bob Officer", label="3")
    session.call = call.__class__(caller=call.caller, officer=officer, session=call.session, group=call.group)
    assert session.ask("UPDATE", document(session), METADATA).status == 200
    moved_s = time.monotonic()
    session.talk_for(0.4)
    session.bye()
    row = site.home.row_of(call.caller.user)
    _, right, _ = site.home.copy(row["id"])
    at = next(i for i, byte in enumerate(reversed(right)) if byte != SILENT_ALAW)
    said = bytes(right[len(right) - at - FRAME : len(right) - at])
    assert said in third.voice.stream, "the end of the right channel is the new line's"
    assert time.monotonic() > moved_s
    assert "more_lines" in row["remarks"] or len(session.lines) == 3


def test_more_lines_than_two_are_answered_and_two_are_recorded(site: Site) -> None:
    session = site.session()
    session.lines += [Line(session.client.studio.voice(), "9"), Line(session.client.studio.voice(), "8")]
    answer = session.invite()
    assert all(ports(answer.body))
    session.talk_for(0.4)
    session.bye()
    assert "more_lines" in str(whole(site, session)["remarks"])


@pytest.mark.parametrize("offered", ["0 8", "8 0", "9 0 18 8"])
@pytest.mark.parametrize("laws", [(PCMA,), (PCMU,), (PCMA, PCMU, PCMA)])
def test_every_codec_that_is_offered_is_accepted_and_may_be_sent(
    site: Site, offered: str, laws: tuple[int, ...]
) -> None:
    """rtpengine without transcoding wants every codec back, in the offer's order, and sends what the call has."""
    session = site.session()
    content, kind = session.body()
    offer = content.replace(b"RTP/AVP 8 101", f"RTP/AVP {offered} 101".encode())
    offer = offer.replace(b"a=rtpmap:8 PCMA/8000\r\n", b"")
    for line in session.lines:
        line.voice.law = laws[0]
    answer = session.invite((offer, kind))
    ours = offered.replace("18 ", "")
    assert [lines[0].split("AVP ")[1] for lines in sections(answer.body)] == [f"{ours} 101"] * 2
    said: list[tuple[int, ...]] = []
    for law in laws:
        before = [len(line.voice.sent) for line in session.lines]
        for line in session.lines:
            line.voice.law = law
        session.talk_for(0.5)
        said.append((law, *before))
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("recorded", "session_ended")
    for at, channel in enumerate(site.home.copy(row["id"])[:2]):
        voice = session.lines[at].voice
        for law, *begun in said:
            frames = [voice.stream[tick : tick + FRAME] for tick, _ in voice.sent[begun[at] + 1 : begun[at] + 20]]
            as_first = [frame if law == laws[0] else frame.translate(TO_ALAW) for frame in frames]
            assert all(frame in channel for frame in as_first), "each by the law that its payload type names"


def four_lines(site: Site, active: tuple[int, int]) -> Session:
    """Return a session of four lines, labelled 1 to 4, of which two are sent."""
    session = site.session()
    session.lines += [Line(session.client.studio.voice(), label) for label in ("3", "4")]
    for at, line in enumerate(session.lines):
        line.direction = "sendonly" if at in active else "inactive"
    return session


def kept_s(channel: bytes, voice: Voice) -> float:
    """Return how many seconds of what a voice said stand in a channel, beside whatever else does."""
    said = {voice.stream[tick : tick + FRAME] for tick, _ in voice.sent}
    return sum(frame in channel for frame in said) * FRAME / TICKS_PER_S


def a_while(seconds: float) -> None:
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until, f"{seconds:g} s")


@pytest.mark.parametrize("active", [(2, 3), (0, 3), (1, 2)])
@pytest.mark.parametrize("streams", ["1234", "12", ""])
def test_of_four_lines_the_two_that_are_sent_are_recorded(site: Site, active: tuple[int, int], streams: str) -> None:
    """Each party sends on two lines of the four, on the first two as far as the client says, or nobody knows."""
    session = four_lines(site, active)
    text = document(session).decode()
    for first, second in (("1", "3"), ("2", "4")):
        more = f"<send>s-{second}</send>" if second in streams else ""
        text = text.replace(f"<send>s-{first}</send>", f"<send>s-{first}</send>{more}" if streams else "")
        stream = f"<stream stream_id='s-{second}'><label>{second}</label></stream>"
        text = text.replace("</recording>", f"{stream}</recording>")
    assert session.invite(packed(session.sdp(), text)).status == 200
    a_while(0.5)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("recorded", "session_ended")
    assert "more_lines" not in row["remarks"]
    voices = [session.lines[at].voice for at in active]
    if active == (1, 2) and streams:
        voices.reverse()  # the second line is the officer's, who is on the right
    for channel, voice in zip(site.home.copy(row["id"])[:2], voices, strict=True):
        assert kept_s(channel, voice) > 0.3


def test_what_is_recorded_follows_the_lines_that_are_sent_and_a_hold_turns_nobody_round(site: Site) -> None:
    session = four_lines(site, (0, 1))
    text = document(session).decode().replace("<send>s-1</send>", "").replace("<send>s-2</send>", "")
    session.invite(packed(session.sdp(), text))
    a_while(0.5)
    for active in ((2, 3), (2,), (), (2, 3)):
        for at, line in enumerate(session.lines):
            line.direction = "sendonly" if at in active else "inactive"
        re_offer(session)
        a_while(0.5)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    for at, channel in enumerate(site.home.copy(row["id"])[:2]):
        assert kept_s(channel, session.lines[at].voice) > 0.4
        assert kept_s(channel, session.lines[at + 2].voice) > 0.8
        assert not any(kept_s(channel, line.voice) for line in session.lines[1 - at :: 2]), "nobody changes sides"


def test_one_mixed_line_is_on_the_left(site: Site) -> None:
    session = site.session()
    session.lines = session.lines[:1]
    text = document(session).decode().replace("<send>s-2</send>", "<send>s-1</send>")
    session.invite(packed(session.sdp(), text))
    session.talk_for(0.4)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    left, right, _ = site.home.copy(row["id"])
    assert kept_of(left, session.lines[0].voice).spans
    assert set(right) == {SILENT_ALAW}
    assert (row["outcome"], row["reason"], row["is_one_way"]) == ("recorded", "session_ended", False)
    assert "mixed" in row["remarks"]


@pytest.mark.parametrize(("profile", "extra"), [("RTP/SAVP", ()), ("UDP/TLS/RTP/SAVP", ("a=fingerprint:sha-256 00",))])
def test_what_cannot_be_decrypted_is_refused(site: Site, profile: str, extra: tuple[str, ...]) -> None:
    session = site.session()
    for line in session.lines:
        line.profile, line.extra = profile, extra
    assert session.invite().status == 488
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("no_conversation", "codec_refused")


def test_a_line_that_names_a_group_is_refused(site: Site) -> None:
    session = site.session()
    content, kind = session.body()
    assert session.invite((content.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 239.1.2.3"), kind)).status == 488


def test_a_line_whose_own_address_is_of_another_ip_version_is_listened_to(site: Site) -> None:
    """Nothing is sent there, and the client may well send from another address."""
    session = site.session()
    content, kind = session.body()
    text = content.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP6 fe80::1%eth0", 1)
    text = text.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP6 2001:db8::9", 1)
    assert session.invite((text, kind)).status == 200
    session.bye()
    assert site.home.row_of(session.call.caller.user)["reason"] == "no_audio"


def test_an_offer_that_cannot_be_taken_leaves_the_session_as_it_was(site: Site) -> None:
    session = site.session()
    session.invite()
    bad = session.sdp().replace(b"RTP/AVP 8 101", b"RTP/AVP 18").replace(b"a=rtpmap:8 PCMA/8000\r\n", b"")
    assert session.ask("INVITE", bad, "application/sdp").status == 488
    session.talk_for(0.4)
    session.bye()
    whole(site, session)


def test_an_empty_re_invite_gets_the_lines_as_they_are(site: Site) -> None:
    session = site.session()
    first = session.invite().body
    answer = session.ask("INVITE")
    assert ports(answer.body) == ports(first)
    session.talk_for(0.3)
    session.bye()
    whole(site, session, least_s=0.2)


@pytest.mark.parametrize("held_by", ["inactive", "recvonly"])
def test_a_client_on_hold_resumes_by_an_empty_re_invite(site: Site, held_by: str) -> None:
    """Our offer says what we want (RFC 6337 section 5.3); a hold in it would hold the client for good."""
    session = site.session()
    first = session.invite().body
    session.talk_for(0.3)
    for line in session.lines:
        line.direction = held_by
    assert all("a=inactive" in lines for lines in sections(re_offer(session)))
    for direction, stays in ((held_by, True), ("sendonly", False)):
        session.send("INVITE")
        offer = session.client.final(session.call_id, "INVITE", session.cseq)
        assert all("a=recvonly" in lines and "a=inactive" not in lines for lines in sections(offer.body))
        assert ports(offer.body) == ports(first)
        for line in session.lines:
            line.direction = direction
        session.remote = offer.value("To")
        session.send("ACK", session.sdp(), "application/sdp", cseq=session.cseq)
        if stays:
            assert all("a=inactive" in lines for lines in sections(re_offer(session))), "it is still on hold"
    session.talk(offer)
    session.talk_for(0.4)
    session.bye()
    assert whole(site, session, least_s=0.6)["outcome"] == "recorded", "what was said before the hold and after it"


def test_a_new_stream_on_a_line_goes_on_in_its_place(site: Site) -> None:
    session = site.session()
    session.invite()
    session.talk_for(0.3)
    session.lines[0].voice.begin_stream()
    session.talk_for(0.4)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    left = site.home.copy(row["id"])[0]
    said = sum(byte != SILENT_ALAW for byte in left) / TICKS_PER_S
    assert 0.6 < said <= row["duration_s"] < said + 0.5


@pytest.mark.parametrize("authority", ["officer", "token:payments"])
def test_a_pause_is_in_no_channel(site: Site, authority: str) -> None:
    session = site.session()
    session.invite()
    session.talk_for(ERASE_S + 0.4)
    path = f"/api/calls/{site.live(session)['id']}"
    paused = site.home.act(f"{path}/pause", **{"as": authority}).raise_for_status().json()
    paused_s = time.monotonic()
    assert paused["state"] == "paused"
    session.talk_for(0.3)
    resumed_s = time.monotonic()
    assert site.home.act(f"{path}/resume", **{"as": authority}).raise_for_status().json()["state"] == "recording"
    session.talk_for(0.3)
    session.bye()
    _, channels = both(site, session)
    for kept in channels:
        assert kept.bytes_between(paused_s - ERASE_S + PACKET_S, resumed_s) == 0


def test_what_the_caller_keys_is_silenced_and_four_digits_pause(site: Site) -> None:
    session = site.session()
    session.invite()
    session.talk_for(0.4)
    caller, officer = (line.voice for line in session.lines)
    caller.press("4")
    eventually(lambda: caller.pressed, "the first key")
    session.talk_for(0.6)
    caller.press("929")
    eventually(lambda: site.live(session)["state"] == "paused", "four digits pause")
    assert site.live(session)["reasons"] == ["card_digits"]
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    left, right, _ = site.home.copy(row["id"])
    _, start, end = caller.pressed[0]
    for channel, voice in ((left, caller), (right, officer)):
        kept = kept_of(channel, voice)
        first, last = start - kept.offset - TICKS_PER_S // 5, end - kept.offset + TICKS_PER_S // 5
        if voice is caller:
            assert not any(a < last and first < b for a, b in kept.spans), "200 ms either side of the key"
        assert kept.spans


def test_the_officers_keys_work_and_the_callers_do_not(site: Site) -> None:
    session = site.session()
    session.invite()
    session.talk_for(0.3)
    caller, officer = (line.voice for line in session.lines)
    caller.press("*1")
    session.talk_for(0.5)
    assert site.live(session)["state"] == "recording"
    officer.press("*1")
    eventually(lambda: site.live(session)["state"] == "paused", "the officer pauses")
    officer.press("*2")
    eventually(lambda: site.live(session)["state"] == "recording", "the officer resumes")
    session.bye()


def test_a_record_aware_client_is_told(site: Site) -> None:
    session = site.session()
    answer = session.invite(headers=("Require: siprec", "Supported: record-aware"))
    assert answer.body.count(b"a=record:on") == 2
    site.home.act(f"/api/calls/{site.live(session)['id']}/pause").raise_for_status()
    assert re_offer(session).count(b"a=record:paused") == 2
    session.bye()
    unaware = site.session()
    assert b"a=record" not in unaware.invite().body
    unaware.bye()


def test_metadata_before_the_answer_to_the_recorders_offer(site: Site) -> None:
    session = site.session()
    session.lines = session.lines[:1]
    session.send("INVITE", headers=REQUIRE)
    final = session.client.final(session.call_id, "INVITE", session.cseq)
    session.remote, cseq = final.value("To"), session.cseq
    assert session.ask("INFO", document(session), METADATA).status == 200
    session.send("ACK", session.sdp(), "application/sdp", cseq=cseq)
    session.talk(final)
    session.talk_for(0.5)
    assert site.live(session)["state"] == "recording"
    session.bye()
    assert whole(site, session)["operator"] == "alice"


def speak_at_once(session: Session, patch: pytest.MonkeyPatch) -> None:
    """Have the first frames arrive as soon as the recorder sends an answer, before it does anything else."""
    client, studio = session.client, session.client.studio
    assert isinstance(client, TurnedClient) and isinstance(studio, TurnedStudio)
    network = client._network
    send = network.send

    def send_and_speak(data: bytes, source: Address, to: Address) -> None:
        send(data, source, to)
        message = parse(data)
        if message.call_id == session.call_id and message.status == 200 and message.body:
            session.talk(message)

    patch.setattr(network, "send", send_and_speak)
    patch.setattr(studio, "begin", lambda voice: studio._send(voice, network.world.now_ns))


def test_a_session_is_recorded_before_its_answer_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    session = four_lines(site, (0, 1))
    speak_at_once(session, monkeypatch)
    text = document(session).decode().replace("<send>s-1</send>", "").replace("<send>s-2</send>", "")
    session.invite(packed(session.sdp(), text))
    a_while(0.5)
    for at, line in enumerate(session.lines):
        line.direction = "inactive" if at < 2 else "sendonly"
    re_offer(session)
    a_while(0.5)
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    for at, channel in enumerate(site.home.copy(row["id"])[:2]):
        for line in session.lines[at::2]:
            # The beginning of a recording is a clock's rounding away from its first packet.
            assert line.voice.stream[8:FRAME] in channel, f"the first frame of line {line.label}"


def test_a_session_that_ends_before_any_audio(site: Site) -> None:
    session = site.session()
    for line in session.lines:
        line.direction = "inactive"
    session.invite()
    session.bye()
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("failed", "no_audio")


def test_a_session_whose_bye_was_lost_is_asked_for_and_ends(site: Site) -> None:
    session = site.session()
    session.invite()
    session.talk_for(0.2)
    session.hush()
    session.client.forgotten.add(session.call_id)
    deadline = time.monotonic() + 12
    while not site.home.rows(number=session.call.caller.user):
        assert time.monotonic() < deadline, "nobody asked"
        session.client.poll(0.1)
    row = site.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("partial", "session_timeout")
    assert row["duration_s"] < 0.5, "it ends where its media ended"
    assert "INVITE" not in {message.method for message in session.client.requests}, "we never re-INVITE"
