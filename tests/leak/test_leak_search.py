"""The search finds what it is to find, in every form, and nothing else; the signals are what the search relies on."""

import random

import numpy as np
import pytest

from tests.leak.plan import (
    CELLS,
    IMPOSSIBLE,
    MOMENTS,
    TRIGGERS,
    VIA_CONSOLE,
    matrix,
    two_matrices,
    without_console,
)
from tests.leak.search import DIGITS, RUN, Finder, digits_said
from tests.leak.signals import ALPHABET, LINEAR, PCMA, PCMU, secret_codes, secret_symbols

NUMBER = "4929130718346275"


@pytest.fixture(scope="module")
def finder() -> Finder:
    made = Finder()
    for voice, symbols in zip((3, 4), secret_symbols([3, 4]), strict=True):
        made.add_voice(voice, symbols)
    made.add_number(NUMBER)
    return made


def noise(size: int) -> bytearray:
    return bytearray(random.Random(size).randbytes(size))


def forms() -> dict[str, bytes]:
    symbols = secret_symbols([4])[0][500 : 500 + RUN]
    alaw, ulaw = (secret_codes(symbols, law) for law in (PCMA, PCMU))
    linear = {law: LINEAR[law][ALPHABET[law][symbols]].astype("<i2").tobytes() for law in (PCMA, PCMU)}
    return {"alaw": alaw, "ulaw": ulaw, "linear16 of A-law": linear[PCMA], "linear16 of mu-law": linear[PCMU]}


@pytest.mark.parametrize("form", sorted(forms()))
@pytest.mark.parametrize("at", [0, 1, 99_991, (4 << 20) - 7])
def test_ten_samples_are_found_anywhere_in_any_form(finder: Finder, form: str, at: int) -> None:
    data = noise((4 << 20) + 1000)
    planted = forms()[form]
    data[at : at + len(planted)] = planted
    hits = finder.find(data)
    assert [(hit.offset, hit.voice, hit.index, hit.length) for hit in hits] == [(at, 4, 500, RUN)]
    assert hits[0].form == form.split(maxsplit=1)[0]


@pytest.mark.parametrize("form", sorted(forms()))
@pytest.mark.parametrize("at", [1, (16 << 10) * 3 - 19, (16 << 10) * 3 - 1, (16 << 10) * 3, (4 << 20) - 1])
def test_what_stands_among_noughts_is_found(finder: Finder, form: str, at: int) -> None:
    data = bytearray((4 << 20) + 100_000)
    planted = forms()[form]
    data[at : at + len(planted)] = planted
    assert [(hit.offset, hit.voice, hit.length) for hit in finder.find(data)] == [(at, 4, RUN)]
    codes = np.array(list(map(int, NUMBER)), "<i8").tobytes()
    data[at : at + len(codes)] = codes
    assert (at, "event codes") in {(hit.offset, hit.form) for hit in finder.find(data)}


def test_nine_samples_are_too_few_and_other_things_are_no_hit(finder: Finder) -> None:
    for form, planted in forms().items():
        data = noise(20_000)
        data[100 : 100 + len(planted)] = planted
        cut = 100 + len(planted) * (RUN - 1) // RUN
        data[cut : cut + 2] = b"\xd5\xd5"
        assert finder.find(data) == [], form
    for dull in (bytes(100_000), b"\xd5" * 100_000, bytes(range(256)) * 400, b"0" * 5000, b"1234567890" * 500):
        assert finder.find(dull) == []


@pytest.mark.parametrize(
    "planted",
    [
        NUMBER.encode(),
        NUMBER[2:14].encode(),
        NUMBER.encode("utf-16-le"),
        NUMBER.encode("utf-32-le"),
        ", ".join(NUMBER).encode(),
        str([int(d) for d in NUMBER]).encode(),
        bytes(map(int, NUMBER)),
        np.array(list(map(int, NUMBER)), "<i4").tobytes(),
        np.array(list(map(int, NUMBER)), "<i8").tobytes(),
    ],
)
def test_a_number_is_found_in_every_way_of_writing_it(finder: Finder, planted: bytes) -> None:
    assert {hit.voice for hit in finder.find(b"card: " + planted + b".")} == {0}
    assert not finder.find(b"card: " + planted[: len(planted) // 2] + b".")


def test_digits_said_one_by_one_are_found_among_those_of_others() -> None:
    rng = random.Random(1)
    lines = []
    for digit in NUMBER:
        lines += [f"12:00:0{rng.randrange(10)} INFO digit {digit}", f"12:00:01 call {rng.randrange(10)} of 5 ended"]
        lines += [f"12:00:01 INFO digit {rng.randrange(10)}"] * rng.randrange(3)
    assert "digit" in (digits_said(lines, NUMBER) or "")
    assert digits_said(lines[:-6], NUMBER) is None
    bodies = [f"INFO b'Signal={digit}\\r\\nDuration=160\\r\\n'" for digit in NUMBER]
    assert "Signal" in (digits_said(bodies, NUMBER) or "")


def test_stretches_of_different_voices_have_nothing_in_common() -> None:
    first, second = secret_symbols([7, 8])
    windows = {first[i : i + 4].tobytes() for i in range(len(first) - 3)}
    assert len(windows) == len(first) - 3, "four symbols in a row tell where they are from"
    assert not windows & {second[i : i + 4].tobytes() for i in range(len(second) - 3)}


def test_every_trigger_meets_every_moment() -> None:
    assert len(CELLS) == len(TRIGGERS) * len(MOMENTS) - len(IMPOSSIBLE)
    full = matrix(1, len(CELLS) + 60)
    assert {(p.trigger, p.moment) for p in full} == set(CELLS)
    few = matrix(2, 24)
    assert {p.trigger for p in few} == set(TRIGGERS)
    assert {p.moment for p in few} == set(MOMENTS)
    assert matrix(2, 24) == few, "a seed gives the same calls"
    numbers = [p.digits for p in full if len(p.digits) >= DIGITS]
    assert len(set(numbers)) == len(numbers)
    assert not any("000" in number for number in numbers), "the search passes three noughts over"


@pytest.mark.parametrize("seed", range(3))
def test_two_matrices_have_every_trigger_and_moment_each_and_no_number_twice(seed: int) -> None:
    turns = two_matrices(seed, 26)
    for turn in turns:
        assert {one.trigger for one in turn} == set(TRIGGERS)
        assert {one.moment for one in turn} == set(MOMENTS)
    assert len({one.number for turn in turns for one in turn}) == 52
    assert turns[1][3].name.endswith(f"--seed {seed + 1} --only 3)"), "it can be made again by itself"


def test_calls_without_a_console_have_every_trigger_that_needs_none() -> None:
    plans = without_console(7)
    assert {one.trigger for one in plans} == {t for t in TRIGGERS if t not in {*VIA_CONSOLE, "session_token"}}
    assert not any(one.needs_console for one in plans)
    assert len({one.number for one in plans}) == len(plans)
