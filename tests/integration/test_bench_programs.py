"""Every benchmark program can be imported, says what it answers, and refuses an argument that it does not know.

What each measures is shown by a small run of its own; runs that need a daemon or a large load are marked `long`.
"""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py") if "argparse.ArgumentParser(" in path.read_text())


def test_the_programs_are_found() -> None:
    assert len(PROGRAMS) >= 19
    assert {"media", "calls", "pause", "versus"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_says_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = importlib.import_module(f"benchmarks.{name}")
    for words, status in ((["--help"], 0), (["--no-such-option"], 2)):
        with pytest.raises(SystemExit) as ended:
            program.main(words)
        assert ended.value.code == status
    said = capsys.readouterr()
    assert said.out.startswith("usage: ")
    assert "--help" in said.out
    assert "error: " in said.err
