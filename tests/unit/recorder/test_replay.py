"""Every act that the sources write into the audit log is replayed, or named as one that leaves nothing behind."""

import ast
import re
from pathlib import Path

import pytest

from recorder.calls.opt_out_register import DECLINED, GRANTED, LAPSED, RAISED
from recorder.exports.exporting import BROKEN, DONE
from recorder.forwarding.syslog_message import DAMAGED
from recorder.recordings.replay import NOT_STATE, NOTHING_DONE, REPLAYED, copies_of, is_known, orders_of
from recorder.rules.webhook_events import TEST, EventType
from storage.audit_entry import AuditEntry
from storage.retention_types import ErasureKind, ErasureState

ROOT = Path(__file__).parents[3]
ACT = re.compile(r"[a-z_]+(\.[a-z_{}]+)+|\{\}\.[a-z_{}]+")
DOTTED = re.compile(r"""["'][a-z_]+\.[a-z_{]|\}\.[a-z_{]|["']\{""")
"""What a source has that has an act."""
FILES = frozenset(
    {
        "bin", "conf", "css", "csv", "engine", "erasing", "flac", "gz", "html", "journal", "js", "json", "jsonl", "key",
        "lock", "log", "md", "next", "note", "part", "pdf", "pem", "png", "pub", "py", "rebuilt", "rec", "sock",
        "sqlite", "tar", "toml", "txt", "tz", "unsettled", "wav", "zip",
    }
)  # fmt: skip
"""Last parts of what looks like an act, and names a file or a logger."""
MADE_UP = frozenset(
    {
        "notice.{}", "opt_out.{}", "case.{}", "{}.{}", "erasure.{}", "audit.{}", "{}.opened", "{}.done",
        "{}.broken_off", "{}.row",
    }
)  # fmt: skip
"""Formatted: names of log messages, and acts that the tests here name one by one."""
NO_ACTS = frozenset(
    {
        "limits.{}", "recorder.uncaught", "recorder.invalid", "recorder.retention.sweep_process", "http.response.start",
        "recorder.retention.file_removing", "recorder.selftest.process",
        "recorder.service.forwarder", "recorder.service.object_process", *EventType, TEST, DAMAGED,
    }
)  # fmt: skip
"""Names of loggers, and of messages to other systems."""


def written() -> dict[str, str]:
    """Return what looks like an act in the sources, and in which file."""
    found: dict[str, str] = {}
    for root in ("recorder", "storage"):
        for path in sorted((ROOT / root).rglob("*.py")):
            if path.name in ("replay.py", "cli.py"):  # itself, and the names of commands
                continue
            if not DOTTED.search(source := path.read_text()):  # to parse them all takes a second
                continue
            for node in ast.walk(ast.parse(source)):
                text = _text(node)
                if ACT.fullmatch(text) and text.rpartition(".")[2] not in FILES:
                    found.setdefault(text, path.relative_to(ROOT).as_posix())
    return found


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_act_is_replayed_or_named_as_none_of_the_index() -> None:
    acts = written()
    assert {"hold.placed", "recording.deleted", "people.add", "retention.swept"} <= acts.keys()
    unknown = {
        act: path
        for act, path in acts.items()
        if not is_known(act) and act not in MADE_UP | NO_ACTS and f".{act.rpartition('.')[2]}" not in NOTHING_DONE
    }
    assert unknown == {}, "bring them back in recordings/replay.py, or say there why there is nothing to bring back"


def test_the_acts_that_are_put_together_are_known_too() -> None:
    assert all(map(is_known, (RAISED, GRANTED, DECLINED, LAPSED, "recording.play.opened", DONE, BROKEN)))


def test_no_act_is_both() -> None:
    assert not REPLAYED & NOT_STATE.keys()


@pytest.mark.parametrize(
    ("acts", "state", "decided_by"),
    [
        ([], ErasureState.WAITING, None),
        (["erasure.confirmed"], ErasureState.CONFIRMED, "dora"),
        (["erasure.declined"], ErasureState.DECLINED, "dora"),
        (["erasure.confirmed", "erasure.failed"], ErasureState.FAILED, "dora"),
        (["erasure.confirmed", "erasure.failed", "erasure.done"], ErasureState.DONE, "dora"),
        (["erasure.confirmed", "erasure.sent_back"], ErasureState.WAITING, None),
    ],
)
def test_an_order_stands_where_its_last_entry_left_it(
    acts: list[str], state: ErasureState, decided_by: str | None
) -> None:
    first = {"order": "1", "start_s": 0.0, "end_s": None, "kind": "other", "state": "waiting"}
    entries = [entry("erasure.ordered", first)]
    entries += [entry(act, {"order": "1", "problem": "no key"}) for act in acts]
    (order,) = orders_of(entries).values()
    assert (order.state, order.decided_by, order.kind) == (state, decided_by, ErasureKind.OTHER)
    assert order.problem == ("no key" if state is ErasureState.FAILED else "")


def test_a_copy_is_listed_with_its_hash_once_it_was_whole() -> None:
    begun = {"copy": "c1", "format": "wav", "start_s": 0.0, "end_s": 2.0, "redactions": [{}]}
    (copy,) = copies_of([entry("recording.export", begun)]).values()
    assert (copy.sha256, copy.redactions, copy.made_by) == (None, 1, "dora")
    (copy,) = copies_of([entry("recording.export", begun), entry(DONE, {"copy": "c1", "sha256": "5a"})]).values()
    assert copy.sha256 == "5a"


def test_an_entry_that_lacks_something_is_passed_over() -> None:
    assert orders_of([entry("erasure.ordered", {"order": "1"}), entry("erasure.done", {"order": "2"})]) == {}


def entry(act: str, details: dict[str, object]) -> AuditEntry:
    at = "2026-11-25T03:00:00Z"
    return AuditEntry(
        number=1, at=at, act=act, actor="dora", subject="20261124T093000Z-2001-0a1b2c",
        details={"at": at, **details}, previous="", hash="",
    )  # fmt: skip
