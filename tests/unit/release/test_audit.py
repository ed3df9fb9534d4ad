"""What is said of pip-audit's answers. Nothing that was not asked about counts as safe."""

from deploy.release.audit import NONE_KNOWN, NOT_ASKED, VULNERABLE, judge

SAFE = {"name": "alpha", "version": "1.3", "vulns": []}
SKIPPED = {"name": "beta", "skip_reason": "Dependency not found on PyPI and could not be audited: beta (3.0)"}
BAD = {"name": "gamma", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}


def test_none_is_known() -> None:
    assert judge({"shipped.txt": {"dependencies": [SAFE], "fixes": []}}) == (NONE_KNOWN, [])


def test_a_vulnerable_release_is_named_with_its_fix() -> None:
    code, said = judge({"shipped.txt": {"dependencies": [SAFE, BAD, SKIPPED]}})
    assert (code, said[0]) == (VULNERABLE, "shipped.txt: gamma 1.0: PYSEC-1, fixed in 1.1")


def test_a_release_that_was_skipped_is_not_safe() -> None:
    code, said = judge({"shipped.txt": {"dependencies": [SAFE, SKIPPED]}})
    assert code == NOT_ASKED
    assert said[0].startswith("shipped.txt: beta could not be asked about: ")


def test_no_answer_is_not_safe() -> None:
    assert judge({"shipped.txt": {}}) == (NOT_ASKED, ["shipped.txt: the advisory service gave no answer"])
