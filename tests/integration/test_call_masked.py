"""mask_card_digits over the wire: what the caller keys does not reach the officer, by whichever carrier it comes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from audio.codecs import decode
from audio.types import Codec
from benchmarks.tone_reference import ToneDetector, ToneKind
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.keying import Carrier, Pressed, press
from tests.helpers.recorder_home import eventually
from tests.helpers.voices import EVENT, FRAME, PCMA, PCMU, TICKS_PER_S

KEYINGS = {
    "rfc4733": (Carrier.EVENT, PCMA),
    "info dtmf-relay": (Carrier.RELAY, PCMA),
    "info dtmf": (Carrier.PLAIN, PCMA),
    "in-band a-law": (Carrier.TONE, PCMA),
    "in-band mu-law": (Carrier.TONE, PCMU),
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    edits = (("mask_card_digits = false", "mask_card_digits = true"),)
    with exchange(tmp_path_factory.mktemp("masked"), edits=edits) as made:
        yield made


def keyed(lines: Exchange, carrier: Carrier, law: int) -> tuple[Talk, list[Pressed]]:
    """The caller keys three digits; the officer keys one, which goes to the caller as ever."""
    talk = lines.call(laws=(law, law))
    talk.join()
    talk.talk_for(0.6)
    presses = []
    for key in "417":
        presses.append(press(talk.left, talk.first, key, carrier))
        talk.talk_for(0.5)
    talk.right.press("9")
    eventually(lambda: talk.left.heard_keys() == "9", "the officer's digit goes to the caller")
    talk.talk_for(0.3)
    talk.hang_up()
    return talk, presses


@pytest.fixture(scope="module")
def calls(lines: Exchange) -> dict[str, tuple[Talk, list[Pressed]]]:
    """Make a call by each carrier, at the same time."""
    with ThreadPoolExecutor(len(KEYINGS)) as pool:
        made = {name: pool.submit(keyed, lines, *way) for name, way in KEYINGS.items()}
    return {name: future.result() for name, future in made.items()}


def heard_by_officer(talk: Talk) -> bytes:
    """Return what the officer heard, each packet in its time, silence where there was none."""
    packets = talk.right.heard_audio()
    first = packets[0].packet.timestamp
    silence = 0xFF if talk.left.law == PCMU else 0xD5
    line = bytearray([silence]) * (((packets[-1].packet.timestamp - first) % (1 << 32)) + FRAME)
    for one in packets:
        at = (one.packet.timestamp - first) % (1 << 32)
        line[at : at + len(one.packet.payload)] = one.packet.payload
    return bytes(line)


@pytest.mark.parametrize("keying", KEYINGS)
def test_the_officer_gets_no_event_no_info_and_no_tone(
    calls: dict[str, tuple[Talk, list[Pressed]]], keying: str
) -> None:
    talk, presses = calls[keying]
    assert talk.right.heard_keys() == ""
    assert not [one for one in talk.right.heard if one.packet.payload_type == EVENT]
    assert talk.wait_second().requests("INFO") == []
    heard = heard_by_officer(talk)
    detector = ToneDetector()
    codec = Codec.PCMU if talk.left.law == PCMU else Codec.PCMA
    found = detector.feed(np.asarray(decode(codec, heard)))
    assert [event for event in found if event.kind is not ToneKind.VOICE] == []
    for one in presses:
        if KEYINGS[keying][0].has_tone:
            sound = talk.left.stream[one.start : one.end]
            pieces = [sound[at : at + 16] for at in range(0, len(sound) - 16, 8)]
            assert not any(piece in heard for piece in pieces), "a fragment of the tone went on"
    assert len(heard) > 2 * TICKS_PER_S
    said = {talk.left.stream[tick : tick + FRAME] for tick, _ in talk.left.sent}
    whole = sum(one.packet.payload in said for one in talk.right.heard_audio())
    assert whole > 60, "and what is said between the digits goes on exactly"
