"""Programs of a long run: their end, their last lines, their documents."""

from pathlib import Path

from tests.helpers.steps import Outcome, Step, run, summary


def test_a_step_keeps_its_last_lines_its_code_and_its_document(tmp_path: Path) -> None:
    document = tmp_path / "found.json"
    program = (
        "import os, pathlib, sys\n"
        "print(*range(9), sep=chr(10))\n"
        f"pathlib.Path({str(document)!r}).write_text(os.environ['WHAT'])\n"
        "sys.exit(3)"
    )
    step = Step(name="a", command=("-c", program), document=document, environment={"WHAT": '{"leaks": 0}'})
    outcome = run(step)
    assert (outcome.exit_code, outcome.said, outcome.document) == (3, ["4", "5", "6", "7", "8"], {"leaks": 0})


def test_one_step_that_failed_fails_the_whole() -> None:
    good = Outcome(name="a", command="x", exit_code=0, seconds=1.0, said=[])
    bad = Outcome(name="b", command="y", exit_code=1, seconds=2.0, said=["1 failed"])
    assert summary([good])["passed"] is True
    document = summary([good, bad])
    assert (document["passed"], document["seconds"]) == (False, 3.0)
    assert [step["name"] for step in document["steps"]] == ["a", "b"]
