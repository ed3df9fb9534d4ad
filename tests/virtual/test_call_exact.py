"""The recording has every byte that was said, at its position, and the other side hears the same."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index, open_reader
from storage.runs import AUDIO, parse
from tests.helpers.exactness import PACKET_S, SILENT_ULAW, Kept, heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import FRAME, PCMA, PCMU, TICKS_PER_S


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("exact")) as made:
        yield made


def test_each_channel_holds_exactly_the_bytes_from_the_joining_to_the_hang_up(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    talk.wait_second()
    offered_s = time.monotonic()
    recording = talk.join()
    joined_s = time.monotonic()
    talk.talk_for(3)
    hung_up_s = time.monotonic()
    row = talk.hang_up()

    assert (row["id"], row["outcome"], row["reason"]) == (recording, "recorded", "caller_hung_up")
    assert [segment["kind"] for segment in row["segments"]] == ["recording"]
    left, right, said = lines.home.exported(recording)
    assert len(left) == len(right)
    assert said["law"] == "alaw"
    assert said["duration_s"] == pytest.approx(row["duration_s"], abs=0.05)

    caller, officer = kept_of(left, talk.left), kept_of(right, talk.right)
    assert len(caller.spans) == len(officer.spans) == 1, "no byte is missing between the first and the last"
    # The caller spoke all the time: what was said before the joining is not there, what was said after it is.
    first_tick = caller.offset + caller.spans[0][0]
    assert talk.left.sent[0][1] < offered_s - 0.5
    first_sent_s = next(at_s for tick, at_s in talk.left.sent if tick + FRAME > first_tick)
    assert offered_s - 0.05 <= first_sent_s <= joined_s + 0.02, "the next packet may be a frame away by then"
    # The officer began to speak when joined: not a byte of it is missing.
    assert officer.offset + officer.spans[0][0] == 0
    for side in (caller, officer):
        assert side.end_tick >= side.voice.tick_at(hung_up_s) + FRAME
    assert_same_clock(caller, officer)
    assert caller.spans[0][0] <= FRAME, "the recording begins with the joining"


def assert_same_clock(caller: Kept, officer: Kept) -> None:
    """Audio of one moment is at one position in both channels."""
    moment_s = caller.voice.sent[len(caller.voice.sent) * 3 // 4][1]
    assert caller.position_of(moment_s) == pytest.approx(officer.position_of(moment_s), abs=2 * PACKET_S)


def test_the_other_side_hears_every_byte_in_its_time(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    joined_s = time.monotonic()
    talk.talk_for(2)
    talk.hang_up()
    from_officer = heard_frames(talk.left, talk.right)
    from_caller = heard_frames(talk.right, talk.left, since_s=joined_s)
    assert is_gapless(from_officer)
    assert is_gapless(from_caller)
    assert from_officer[0] == 0, "the officer's first word arrives"
    assert min(len(from_officer), len(from_caller)) > 95
    for voice in (talk.left, talk.right):
        numbers = [one.packet.sequence for one in voice.heard_audio(joined_s)]
        assert [(b - a) % 65536 for a, b in itertools.pairwise(numbers)] == [1] * (len(numbers) - 1)
        assert len({one.packet.ssrc for one in voice.heard}) == 1, "one source for prompts and bridge"


def test_mu_law_is_stored_as_it_was_sent_and_converted_on_the_wire(lines: Exchange, tmp_path: Path) -> None:
    talk = lines.call(laws=(PCMU, PCMA))
    recording = talk.join()
    joined_s = time.monotonic()
    talk.talk_for(2)
    row = talk.hang_up()
    assert row["codecs"] == ["PCMU", "PCMA"]

    payload = stored_payload(lines, recording)
    start = talk.left.stream.find(payload[:32])
    assert start >= 0
    assert payload == talk.left.stream[start : start + len(payload)], "the container holds the bytes as sent"
    assert len(payload) >= 2 * TICKS_PER_S

    left, right, said = lines.home.exported(recording)
    assert said["law"] == "ulaw", "a copy has one law: the caller's"
    assert kept_of(left, talk.left, silence=SILENT_ULAW).spans == [
        (left.find(payload), left.find(payload) + len(payload))
    ]
    laws = {PCMA: law_values("ALAW", tmp_path), PCMU: law_values("ULAW", tmp_path)}
    begin = next(i for i, value in enumerate(right) if value != SILENT_ULAW)
    assert is_nearest(right[begin : begin + 8000], laws[PCMU], talk.right.stream[:8000], laws[PCMA])
    for listener, speaker in ((talk.right, talk.left), (talk.left, talk.right)):
        heard = listener.heard_audio(joined_s)[10]
        ticks = range(speaker.tick_at(heard.at_s), 0, -FRAME)
        frames = [speaker.stream[tick : tick + FRAME] for tick in ticks[:5]]
        assert any(is_nearest(heard.packet.payload, laws[listener.law], one, laws[speaker.law]) for one in frames)


Values = NDArray[np.int64]


def is_nearest(converted: bytes, law: Values, said: bytes, said_law: Values) -> bool:
    """Tell whether each byte is a code of its law that is nearest to what was said in the other (G.711 has ties)."""
    out, into = np.frombuffer(converted, np.uint8), np.frombuffer(said, np.uint8)
    best = np.abs(law[:, None] - said_law[None, :]).min(axis=0)
    return bool((np.abs(law[out] - said_law[into]) <= best[into]).all())


def law_values(law: str, folder: Path) -> Values:
    """Return the 256 values of a law as libsndfile has them."""
    path = folder / f"{law}.raw"
    path.write_bytes(bytes(range(256)))
    values, _ = soundfile.read(
        path, dtype="int16", format="RAW", subtype=law, samplerate=8000, channels=1, endian="LITTLE"
    )
    return np.asarray(values, dtype=np.int64)


def stored_payload(lines: Exchange, recording: str) -> bytes:
    home = Home(lines.home.root)
    settings = read_config(home.config)
    index = open_index(home, settings)
    try:
        reader = open_reader(home, settings, index.get(recording))
    finally:
        index.close()
    runs = [run for block in reader.blocks() for run in parse(block) if run.kind == AUDIO and run.channel == 0]
    assert {run.codec for run in runs} == {PCMU}
    return b"".join(bytes(run.payload) for run in runs)
