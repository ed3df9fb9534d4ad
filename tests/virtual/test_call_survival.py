"""A pause holds during all events of SIP, RTP and the configuration: no byte is stored, nothing resumes it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from audio.blocks import AudioRun, decode_block
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index, open_reader
from tests.helpers.exactness import PACKET_S
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Call, Media
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import FRAME, PCMA, PCMU, Voice

ERASE_S = 0.4
EDITS = (
    ("look_back_s = 5.0", "look_back_s = 2.0"),
    ("erase_s = 3.0", f"erase_s = {ERASE_S}"),
    ("record_hold = true ", "record_hold = false "),  # so that the end of a hold resumes what it paused, and no more
)
MU_LAW, G722 = ((0, "PCMU/8000"), (101, "telephone-event/8000")), ((9, "G722/8000"),)
ROUTE = '\n[[route]]\nname = "more"\nnumber = "88.*"\ntargets = ["127.0.0.1:9"]\n'


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("survival"), edits=EDITS) as made:
        yield made


def re_offer(call: Call, media: Media | None, *, status: int = 200) -> None:
    """Send a re-INVITE and wait for its final answer."""
    before = len(call.replies_to("INVITE"))
    call.offer(media)
    call.wait_for(lambda c: len(c.replies_to("INVITE")) > before)
    assert call.replies_to("INVITE")[-1] == status


def hold_by_caller(talk: Talk) -> None:
    for version, direction in ((2, "sendonly"), (3, "sendrecv"), (4, "inactive"), (5, "sendrecv")):
        re_offer(talk.first, talk.left.media(version=version, direction=direction))
        talk.talk_for(0.2)


def hold_by_officer(talk: Talk) -> None:
    second = talk.wait_second()
    for version, direction in ((2, "sendonly"), (3, "sendrecv")):
        re_offer(second, replace(second.media, version=version, direction=direction))
        talk.talk_for(0.2)


def empty_re_invite(talk: Talk) -> None:
    re_offer(talk.first, None)


def another_law_and_back(talk: Talk) -> None:
    re_offer(talk.first, talk.left.media(version=2, formats=MU_LAW))
    talk.left.law = PCMU
    talk.talk_for(0.3)
    talk.left.law = PCMA
    re_offer(talk.first, talk.left.media(version=3))


def refused_codec(talk: Talk) -> None:
    re_offer(talk.first, talk.left.media(version=2, formats=G722), status=488)


def new_streams(talk: Talk) -> None:
    for voice in (talk.left, talk.right):
        voice.begin_stream()


def reload(talk: Talk) -> None:
    home = talk.home
    good = home.config.read_text()
    for old, new in (("max_s = 600.0", "max_s = 0.1"), ("card_digits = 4", "card_digits = 1"), ('"*2"', '"*5"')):
        home.edit(old, new)
    said = len(home.said)
    home.ask_for_reload()
    eventually(lambda: "configuration reloaded" in home.said[said:], "the file is in force")
    home.config.write_text(good)
    home.json("reload")


def new_route(talk: Talk) -> None:
    good = talk.home.config.read_text()
    with talk.home.config.open("a") as file:
        file.write(ROUTE)
    assert "route" in talk.home.json("reload")["changed"]
    talk.home.config.write_text(good)
    talk.home.json("reload")


def silence_and_return(talk: Talk) -> None:
    talk.left.hush()
    time.sleep(0.3)  # nothing to wait for: it is the absence of packets that is tried
    talk.left.talk(talk.first.remote_media)


EVENTS = (
    hold_by_caller, hold_by_officer, empty_re_invite, another_law_and_back, refused_codec, new_streams, reload,
    new_route, silence_and_return,
)  # fmt: skip


@pytest.mark.parametrize("event", EVENTS)
def test_a_pause_survives(lines: Exchange, event: Callable[[Talk], None]) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(ERASE_S + 0.5)
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    paused_s = time.monotonic()
    talk.talk_for(0.2)
    event(talk)
    talk.talk_for(0.3)
    found = talk.wait_phase("joined")
    assert (found["state"], found["reasons"]) == ("paused", ["agent"])
    talk.talk_for(0.2)
    resuming_s = time.monotonic()
    talk.right.press("*2")
    eventually(lambda: (c := talk.live) and c["state"] == "recording", "the officer resumes, by the keys of before")
    resumed_s = time.monotonic()
    talk.talk_for(0.6)
    talk.hang_up()

    left, right = stored(lines, call)
    for channel, voice in ((left, talk.left), (right, talk.right)):
        secret = said(voice, paused_s - ERASE_S + PACKET_S, resuming_s)
        assert len(secret) > 20
        found_at = [tick for tick in secret if is_stored(channel, voice, tick)]
        assert not found_at, f"{len(found_at)} of {len(secret)} frames of the pause are stored"
        assert any(is_stored(channel, voice, tick) for tick in said(voice, 0, paused_s - ERASE_S - PACKET_S))
        assert any(is_stored(channel, voice, tick) for tick in said(voice, resumed_s + 0.1, time.monotonic()))


def said(voice: Voice, from_s: float, to_s: float) -> list[int]:
    """Return the ticks of the frames that were sent in [from_s, to_s)."""
    return [tick for tick, at_s in voice.sent if from_s <= at_s < to_s]


def is_stored(channel: bytes, voice: Voice, tick: int) -> bool:
    """Tell whether any eight bytes of a frame, in step with it, are in what was stored."""
    return any(voice.stream[at : at + 8] in channel for at in range(tick, tick + FRAME, 8))


def stored(lines: Exchange, recording: str) -> tuple[bytes, bytes]:
    """Return every byte of audio in the container, by channel, as it came from the wire."""
    home, settings = Home(lines.home.root), read_config(lines.home.config)
    index = open_index(home, settings)
    try:
        reader = open_reader(home, settings, index.get(recording))
    finally:
        index.close()
    channels: dict[int, bytes] = {0: b"", 1: b""}
    for block in reader.blocks():
        for record in decode_block(block):
            if isinstance(record, AudioRun):
                channels[record.channel] += record.payload
    return channels[0], channels[1]
