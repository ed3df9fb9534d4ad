"""Every reason that the code gives an outcome is explained: in docs/outcomes.md and by `recorder explain`."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docs.make_outcomes import PAGE, updated
from recorder.calls.container import fault_of
from recorder.cli.cli import app
from recorder.cli.completion import reasons
from recorder.rules.outcome import Facts, refusal_reason, settle
from recorder.rules.words.calls import REASON
from recorder.rules.words.reasons import EXPLAINED, explained

ROOT = Path(__file__).parents[3]
GIVES = frozenset({"stop", "finish", "fail", "_end", "refuse", "refuse_offer", "guard", "Stopped"})
"""Functions that are given the reason of an outcome."""
NAMES = frozenset({"LOST", "MISSING", "NOT_HEARD", "STOPPED"})
"""Constants that are reasons."""
SOURCES = (
    "recorder/calls/transferring.py", "recorder/calls/transferred_in.py", "recorder/calls/new_calls.py",
    "recorder/calls/bridged_media.py", "recorder/calls/announcer.py", "recorder/calls/registry.py",
    "recorder/calls/live_calls.py", "recorder/calls/recording.py", "recorder/calls/recording_file.py",
    "recorder/calls/container.py", "recorder/calls/card_discard.py", "recorder/calls/siprec/service.py",
    "recorder/calls/siprec/recording_session.py", "recorder/calls/siprec/copied_recording.py",
    "recorder/calls/rules/siprec.py", "recorder/rules/outcome.py", "recorder/recordings/reindex.py",
    "recorder/recordings/row_repair.py", "recorder/recordings/recovery.py", "storage/recovery.py",
)  # fmt: skip
RETURNING = ("recorder/calls/container.py", "recorder/calls/rules/siprec.py")
"""Files whose functions return reasons."""
LEAVINGS = {
    *(f"{party}_{how}" for party in ("caller", "officer") for how in ("hung_up", "unreachable")),
    *(
        f"{party}_gave_up_{when}"
        for party, when in product(("caller", "officer"), ("while_ringing", "during_notice", "during_second_message"))
    ),
}
"""What `recorder.calls.rules.call_table` puts together."""


NAMED_OTHERWISE = {"out_of_scope", "voicemail", "notice_not_heard"}
"""Members of `Final`, and a constant that is one of three."""


def texts(nodes: Iterable[ast.AST | None]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch("[a-z_]+", node.value):
            yield node.value
        elif isinstance(node, ast.IfExp):
            yield from texts((node.body, node.orelse))


def given_in(source: str) -> Iterator[str]:
    """Yield the reasons that a file gives: to a function, beside a status or an outcome, or as a field of a row."""
    for node in ast.walk(ast.parse((ROOT / source).read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in GIVES:
                yield from texts(node.args)
            case ast.Call():
                yield from texts(one.value for one in node.keywords if one.arg == "reason")
            case ast.Tuple(elts=[ast.Constant(value=int()) | ast.Attribute() | ast.IfExp(), last]):
                yield from texts([last])
            case ast.Dict():
                pairs = [
                    (getattr(key, "value", None), value) for key, value in zip(node.keys, node.values, strict=True)
                ]
                yield from texts(value for key, value in pairs if key == "reason" or type(key) is int)
            case ast.Return(value=value) if source in RETURNING:
                yield from texts([value])
            case ast.Assign(targets=[ast.Attribute(attr="fault")]):
                yield from texts([node.value])
            case ast.Assign(targets=[ast.Name(id=name)]) if name in NAMES:
                yield from texts([node.value])


def given() -> set[str]:
    return {reason for source in SOURCES for reason in given_in(source)}


def test_every_reason_that_the_code_gives_is_explained() -> None:
    assert (given() | LEAVINGS) - set(EXPLAINED) == set()
    assert set(EXPLAINED) - given() - LEAVINGS == NAMED_OTHERWISE, "the table has none that the code does not give"
    assert {fault_of(OSError(number, "x")) for number in range(1, 134)} <= set(EXPLAINED)
    assert [status for status in range(300, 700) if explained(refusal_reason(status)) is None] == []


def test_every_reason_has_words_and_sentences() -> None:
    assert set(EXPLAINED) <= set(REASON)
    for reason, told in EXPLAINED.items():
        assert told.outcomes, reason
        assert all(text.endswith(".") for text in (told.means, told.to_do)), reason


@pytest.mark.parametrize("was_joined", [True, False])
@pytest.mark.parametrize("end", ["internal_error", "daemon_stopped", "no_media"])
def test_the_outcomes_are_those_of_the_rules(end: str, was_joined: bool) -> None:
    outcome, reason = settle(Facts(end=end, was_joined=was_joined, kept_s=2.0))
    assert outcome in EXPLAINED[reason].outcomes


def test_the_page_is_that_of_the_code() -> None:
    assert updated(PAGE.read_text()) == PAGE.read_text(), "run python -m docs.make_outcomes"


def test_the_command_says_what_the_page_says() -> None:
    told = EXPLAINED["ports_exhausted"]
    done = CliRunner().invoke(app, ["explain", "ports_exhausted"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ports_exhausted: no network port was free; outcome failed", told.means, f"What to do: {told.to_do}",
    ]  # fmt: skip
    as_json = json.loads(CliRunner().invoke(app, ["explain", "out_of_scope", "--json"]).stdout)
    assert as_json["outcomes"] == ["blocked"]
    assert as_json["to_do"].endswith("nominate that extension (who answers: docs/calls.md).")
    refused = CliRunner().invoke(app, ["explain", "refused_302"])
    assert "SIP status 302" in refused.stdout


@pytest.mark.parametrize(("typed", "near"), [("no_audi", "no_audio"), ("refused_999", "discarded")])
def test_an_unknown_reason_is_wrong_usage_and_the_nearest_is_named(typed: str, near: str) -> None:
    done = CliRunner().invoke(app, ["explain", typed])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is not a reason of an outcome; the nearest is" in done.stderr
    assert typed != "no_audi" or near in done.stderr


def test_reasons_are_completed() -> None:
    assert reasons(None, [], "disk") == ["disk_full", "disk_read_only"]  # type: ignore[arg-type]  # needs no context
