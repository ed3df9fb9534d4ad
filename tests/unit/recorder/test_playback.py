"""`recorder recordings play`: keys, positions and samples, without a sound device."""

from collections.abc import Iterator

import numpy as np
import pytest

from recorder.cli.playback import Playback
from recorder.cli.terminal import Key, keys_in
from storage.encoding import WAVE_HEAD_BYTES

RATE = 8000
LENGTH_S = 20
LEFT = np.arange(LENGTH_S * RATE) % 30_000 + 1
SOUND = np.stack([LEFT, -LEFT], axis=1).astype("<i2")


class Sound:
    """A copy of 20 s that counts: left up, right down."""

    rate_hz = RATE
    frames = len(SOUND)

    def part(self, first: int, end: int) -> Iterator[bytes]:
        data = SOUND.tobytes()[first - WAVE_HEAD_BYTES : end - WAVE_HEAD_BYTES]
        for at in range(0, len(data), 10_000):  # no multiple of what is taken
            yield data[at : at + 10_000]


@pytest.fixture
def playback() -> Playback:
    return Playback(Sound())


def taken(playback: Playback, seconds: float) -> np.ndarray:
    return playback.take(round(seconds * RATE))


def test_plays_every_sample_and_ends(playback: Playback) -> None:
    heard = []
    while not playback.is_over:
        heard.append(taken(playback, 0.3))
    assert np.array_equal(np.concatenate(heard), SOUND)
    assert (playback.position_s, playback.heard) == (LENGTH_S, [(0, len(SOUND))])
    assert not playback.needs_check


def test_pause_is_silent_and_keeps_the_position(playback: Playback) -> None:
    taken(playback, 1)
    playback.press(" ")
    assert not taken(playback, 3).any()
    assert (playback.position_s, playback.is_over) == (1, False)
    assert not playback.needs_check
    playback.press(" ")
    assert playback.needs_check, "who goes on after a pause may no longer be permitted to"
    assert np.array_equal(taken(playback, 1), SOUND[RATE : 2 * RATE])
    assert playback.heard == [(0, 2 * RATE)]


def test_arrows_skip_five_seconds_within_the_call(playback: Playback) -> None:
    taken(playback, 1)
    playback.press(Key.RIGHT)
    assert playback.position_s == 6
    assert playback.needs_check
    assert np.array_equal(taken(playback, 1), SOUND[6 * RATE : 7 * RATE])
    for _ in range(2):
        playback.press(Key.LEFT)
    assert playback.position_s == 0
    assert np.array_equal(taken(playback, 0.5), SOUND[: RATE // 2])
    assert playback.heard == [(0, RATE), (6 * RATE, 7 * RATE), (0, RATE // 2)]
    for _ in range(9):
        playback.press(Key.RIGHT)
    assert (playback.position_s, playback.is_over) == (LENGTH_S, False)
    assert not len(taken(playback, 0.5))
    assert playback.is_over


def test_one_channel_is_heard_on_both_sides(playback: Playback) -> None:
    for key, heard in (("1", (0, 0)), ("2", (1, 1)), ("2", (0, 1)), ("x", (0, 1))):
        playback.press(key)
        at = round(playback.position_s * RATE)
        assert np.array_equal(taken(playback, 0.1), SOUND[at : at + 800][:, list(heard)]), key


def test_quitting_ends_at_once_and_wipes_what_was_read(playback: Playback) -> None:
    taken(playback, 0.1)
    playback.press("q")
    assert playback.is_over
    read_ahead = playback._source._waiting
    assert any(read_ahead)
    with memoryview(read_ahead) as held:  # so that it cannot shrink, and shows what it held
        with pytest.raises(BufferError):
            playback.close()
        assert not any(held)


def test_keys_of_a_terminal() -> None:
    assert keys_in(b"a \x1b[C\x1b[D\x1bOC1q") == ["a", " ", "right", "left", "right", "1", "q"]
    assert keys_in(b"\x1b[1;5C*\x1b[3~#\r\xc3\xa4") == ["*", "#", "enter"]
    assert keys_in(b"") == []
