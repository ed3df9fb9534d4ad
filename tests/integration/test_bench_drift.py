"""The comparison with what was sent is alive, and finds what is not so: what is missing, changed, lost, out of step."""

import json
from pathlib import Path

import pytest

from benchmarks import drift, home, loaded_recorder
from benchmarks.exact import Side, misalignment_ms, read_sides
from storage.runs import ANCHOR, AUDIO, G722, LOST, PCMA, TICKS_PER_S, pack

from benchmarks._load import payload  # isort: skip - built by streams

PPM = 4000
S = 1_000_000_000


def sent(stream: int, count: int = 6, *, ppm: int = 0, begin_ns: int = S) -> bytes:
    return b"".join(
        payload(stream, number, begin_ns + number * 20_000_000 * 10**6 // (10**6 + ppm)) for number in range(count)
    )


def audio(channel: int, start: int, content: bytes, codec: int = PCMA) -> bytes:
    return pack(AUDIO, channel, codec, start, payload=content)


def both(left: bytes, right: bytes) -> tuple[Side, Side]:
    return read_sides([left + right], (4, 5))


def test_channels_that_are_what_was_sent_are_exact_wherever_the_blocks_are_cut() -> None:
    left, right = sent(4), sent(5)
    for cut in (1, 159, 160, 400):
        sides = read_sides(
            [
                audio(0, 77, left[:cut]) + audio(1, 0, right[:cut]),
                audio(0, 77 + cut, left[cut:]) + audio(1, cut, right[cut:]),
            ],
            (4, 5),
        )
        assert [(side.packets, side.problem) for side in sides] == [(6, ""), (6, "")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (audio(0, 0, sent(5)), "packet 0 at 0 is not what was sent"),
        (audio(0, 0, sent(4)[:400] + b"\xd5" + sent(4)[401:]), "packet 2 at 320 is not"),
        (audio(0, 0, sent(4)[160:]), "packet 0 at 0 is not"),
        (audio(0, 0, sent(4)[:320] + sent(4)[480:]), "packet 2 at 320 is not"),
        (audio(0, 0, sent(4)[:320]) + audio(0, 480, sent(4)[320:]), "160 samples of silence at 320"),
        (audio(0, 0, sent(4)[:-1]), "packet 5 is cut"),
        (audio(0, 0, sent(4)) + pack(LOST, 0, 0, 960, length=80), "80 samples are lost at 960"),
        (audio(0, 0, sent(4), codec=G722), "codec 9"),
    ],
)
def test_whatever_is_not_what_was_sent_is_found(wrong: bytes, said: str) -> None:
    left, right = both(wrong, audio(1, 0, sent(5)))
    assert said in left.problem
    assert right.problem == ""


def drifting(channel: int, stream: int, ppm: int, seconds: int, *, has_anchors: bool) -> bytes:
    """Return a channel whose sender's clock is off, a run and an anchor a second."""
    rate = TICKS_PER_S * (10**6 + ppm) // 10**6 // 160 * 160
    count, block = seconds * rate // 160, b""
    content = sent(stream, count, ppm=ppm)
    for at in range(0, len(content), rate):
        block += audio(channel, at, content[at : at + rate])
        if has_anchors:
            block += pack(ANCHOR, channel, PCMA, at, aux=at * S * 10**6 // (TICKS_PER_S * (10**6 + ppm)))
    return block


def test_sides_that_drift_are_in_step_by_their_anchors_and_only_by_them() -> None:
    with_anchors, without = (
        both(*(drifting(side, 4 + side, ppm, 30, has_anchors=has) for side, ppm in ((0, 4000), (1, -4000))))
        for has in (True, False)
    )
    assert [side.problem for side in (*with_anchors, *without)] == [""] * 4
    assert misalignment_ms(with_anchors) < 3
    assert misalignment_ms(with_anchors, is_aligned=False) == pytest.approx(30 * 8, abs=12)
    assert misalignment_ms(without) > 200


def test_what_a_sender_sends_late_was_said_in_time() -> None:
    sides = both(*(drifting(side, 4 + side, ppm, 30, has_anchors=True) for side, ppm in ((0, 200), (1, -200))))
    assert misalignment_ms(sides) < 3
    for at in range(10, 14):
        position, sent_ns = sides[0].sent[at]
        sides[0].sent[at] = (position, sent_ns + 600_000_000)
    assert misalignment_ms(sides) < 3


@pytest.mark.long
@pytest.mark.parametrize("in_kernel", [False, pytest.param(True, marks=pytest.mark.kernel_relay)])
def test_calls_whose_clocks_run_apart_are_recorded_exactly_and_played_in_step(
    capsys: pytest.CaptureFixture[str], in_kernel: bool
) -> None:
    words = ["--calls", "3", "--seconds", "8", "--skew-ppm", str(PPM), "--rate", "10", "--json"]
    status = drift.main([*words, "--in-kernel"] if in_kernel else words)
    document = json.loads(capsys.readouterr().out)
    assert document["problems"] == []
    assert (document["exact_channels"], document["compared_calls"]) == (6, 3)
    assert document["packets_kept"] == document["packets_sent"] >= 6 * 8 * 45
    assert document["misaligned_ms"] < drift.GOAL_MS
    assert document["misaligned_ms_without_anchors"] > drift.GOAL_MS
    assert document["verified"] == {"good": 3, "bad": 0}
    assert (document["relayed_share"] > 0.8) == in_kernel
    assert (status, document["is_good"]) == (0, True), document


@pytest.mark.long
def test_a_run_that_the_kernel_did_not_relay_is_not_called_one_that_it_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (loaded_recorder, home):
        monkeypatch.setattr(module, "IN_KERNEL", ("kernel_interfaces = []", "kernel_interfaces = []"))
    words = ["--calls", "1", "--seconds", "2", "--in-kernel", "--json"]
    assert drift.main(words) == 1
    said = capsys.readouterr()
    assert "the kernel relayed 0% of the packets only" in said.err
    assert said.out == ""


def test_a_disk_without_room_is_told_before_anything_is_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--calls", "1000000", "--seconds", "3600", "--folder", str(tmp_path)]
    with pytest.raises(drift.NoRoomError, match=r"need [\d.]+ GB and .* has [\d.]+ GB free"):
        drift.need_room(tmp_path, calls=1_000_000, seconds=3600)
    assert drift.main(words) == 1
    assert capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


GOOD = {
    "calls": 2, "exact_channels": 4, "packets_lost": 0, "packets_damaged": 0, "never_ended": 0, "standing_calls": 2,
    "outcomes": {"recorded": 2}, "misaligned_ms": 40.0, "verified": {"good": 2, "bad": 0}, "seconds": 600,
    "grown_kb_per_call_hour": drift.MOST_GROWN_KB,
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("exact_channels", 3), ("packets_lost", 1), ("packets_damaged", 1), ("never_ended", 1), ("standing_calls", 1),
        ("outcomes", {"recorded": 1, "partial": 1}), ("misaligned_ms", 40.1), ("verified", {"good": 1, "bad": 1}),
        ("grown_kb_per_call_hour", drift.MOST_GROWN_KB + 1),
    ],
)  # fmt: skip
def test_whatever_is_not_good_is_told(what: str, value: object) -> None:
    assert drift.is_good(GOOD)
    assert not drift.is_good({**GOOD, what: value})
