"""What once broke a parser does so no more, each is fuzzed for a moment, and the fuzzer finds what is planted."""

import pytest

from tests.fuzz.engine import SAVED, Target, fuzz, problem_of
from tests.fuzz.targets import targets
from tests.helpers.recorder_home import HANGS_S

TARGETS = {target.name: target for target in targets()}
SECONDS_EACH = 0.2


def test_what_was_found_once_stays_mended() -> None:
    known = [(TARGETS[path.parent.name], path) for path in sorted(SAVED.glob("*/*.bin"))]
    wrong = {str(path): problem for target, path in known if (problem := problem_of(target, path.read_bytes()))}
    assert not wrong
    assert known


def test_every_saved_input_has_a_target() -> None:
    assert {path.parent.name for path in SAVED.glob("*/*.bin")} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_fuzzing_finds_nothing(name: str) -> None:
    result = fuzz(TARGETS[name], seed=1, seconds=SECONDS_EACH)
    assert result.error == "", f"{result.error}: {result.crash!r}"
    assert result.runs > len(TARGETS[name].seeds)


def _planted(data: bytes) -> None:
    if len(data) > 3 and data[0] == 0x61:
        if data[1] == 0x62:
            raise KeyError("planted")
        raise ValueError


def test_it_finds_a_planted_error_by_coverage_makes_it_small_and_finds_it_again() -> None:
    target = Target(name="planted", seeds=[b"xyz-xyz"], run=_planted, errors=(ValueError,), files=("/fuzz/test_fuzz",))
    first = fuzz(target, seed=3, seconds=HANGS_S)
    assert first.error.startswith("KeyError")
    assert first.crash is not None
    assert len(first.crash) == 4
    assert fuzz(target, seed=3, seconds=HANGS_S).crash == first.crash


def _spin(_data: bytes) -> None:
    while True:
        pass


def test_it_finds_what_takes_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.engine.SOON_S", 0.2)
    target = Target(name="slow", seeds=[b"x"], run=_spin)
    assert problem_of(target, b"x").startswith("TooSlowError")
