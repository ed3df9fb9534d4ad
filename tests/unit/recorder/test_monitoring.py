"""Alert rules, dashboard and docs/monitoring.md name metrics and alarms that exist, and Prometheus accepts the rules.

promtool is Debian's. What it is asked runs in this file alone, on its own copies.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.make_metrics import PAGE, described, names, updated
from recorder.rules.alarms import ALARMS, CONSOLE_ALARMS, EVENTS, LOSSES
from recorder.service import console_metrics, daemon_metrics

ROOT = Path(__file__).parents[3]
RULES, *TESTS = (
    ROOT / "deploy" / "prometheus" / name for name in ("recorder.rules.yml", "rules.test.yml", "rules.days.test.yml")
)
DASHBOARD = ROOT / "deploy" / "grafana" / "recorder.json"
OF_PROMETHEUS = {"up", "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes"}
OF_PROMETHEUS |= {"process_open_fds"}
_NAME = re.compile(r"\b(?:recorder|process)_\w+|\bup\b")


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    return found


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    for path in TESTS:
        shutil.copy(path, tmp_path)
    return tmp_path


def names_in(expression: str) -> set[str]:
    return set(_NAME.findall(re.sub(r'"[^"]*"', "", expression)))


def test_the_page_has_the_metrics_of_the_code() -> None:
    text = PAGE.read_text()
    assert updated(text) == text, "run python -m docs.make_metrics"
    assert "recorder_pause_shut_seconds" in text


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, _, _, meaning in described():
        assert re.fullmatch(r"recorder_[a-z_]+", name), name
        assert meaning.endswith("."), name
    kinds = {row.name: row.kind for table in (daemon_metrics.TABLE, console_metrics.TABLE) for row in table}
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    assert not [name for name in kinds if re.search(r"_(ms|minutes|hours|days|kb|mb|percent)\b", name)]


def test_every_label_has_a_closed_set() -> None:
    for table in (daemon_metrics.TABLE, console_metrics.TABLE):
        for row in table:
            assert bool(row.label) == bool(row.values), row.name
            assert len(set(row.values)) == len(row.values)


def test_every_alarm_is_a_value_of_the_gauge() -> None:
    of_daemon, of_console = (
        {value for row in table if row.name == "recorder_alarm" for value in row.values}
        for table in (daemon_metrics.TABLE, console_metrics.TABLE)
    )
    assert of_daemon | of_console == ALARMS.keys()
    assert of_console == CONSOLE_ALARMS


def test_rules_and_dashboard_name_metrics_that_exist() -> None:
    known = names() | OF_PROMETHEUS
    board = json.loads(DASHBOARD.read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked = [variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    assert len(shown) > 40
    for expression in (*(rule["expr"] for rule in rules()), *shown, *asked):
        assert names_in(expression), expression
        assert names_in(expression) <= known, expression
    of_recorder = {name for name in names() if not name.endswith(("_bucket", "_sum", "_count", "_total"))}
    assert of_recorder - {name for one in shown for name in names_in(one)} <= {
        "recorder_build_info", "recorder_media_legs", "recorder_anchor_failed", "recorder_writer_failures",
    }  # fmt: skip


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_each_alarm_has_the_alert_that_the_page_says(alarm: str) -> None:
    page = (ROOT / "docs" / "alarms.md").read_text().partition("## Alerts")[2].partition("## Other")[0]
    said = {name: set(re.findall(r"`([a-z_]+)`", text)) for name, text in re.findall(r"\*\*`(\w+)`\*\*([^*]*)", page)}
    assert said["RecorderLosesRecordings"] == LOSSES
    assert said["RecorderEvent"] == EVENTS
    patterns = {
        rule["alert"]: (operator == "=~", pattern)
        for rule in rules()
        for operator, pattern in re.findall(r'alarm(=~|!~)"([^"]*)"', rule["expr"])
    }
    fires = {name for name, (is_in, pattern) in patterns.items() if bool(re.fullmatch(pattern, alarm)) == is_in}
    expected = "RecorderLosesRecordings" if alarm in LOSSES else "RecorderEvent" if alarm in EVENTS else "RecorderAlarm"
    assert fires == {expected}


def test_the_sets_of_alarms_are_alarms_of_the_daemon() -> None:
    assert ALARMS.keys() - CONSOLE_ALARMS >= LOSSES | EVENTS
    assert not LOSSES & EVENTS


def test_the_page_lists_every_alert_with_its_severity() -> None:
    table = PAGE.read_text().partition("## Alerts")[2].partition("## Add")[0]
    listed = {
        name: [one.strip() for one in severity.split(";")]
        for names_, severity in re.findall(r"^\| (`Recorder[^|]*) \|[^|]*\| ([^|]*) \|$", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names_)
    }
    assert listed.keys() == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["labels"]["severity"] in listed[rule["alert"]], rule["alert"]
        assert rule["annotations"].keys() == {"summary", "do"}


def test_prometheus_accepts_the_rules() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stderr


def checks() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for path in TESTS:
        for one in yaml.safe_load(path.read_text())["tests"]:
            yield one["name"], one["promql_expr_test"]


def test_each_alert_fires_and_clears() -> None:
    tested = dict(checks())
    assert tested.keys() == {rule["alert"] for rule in rules()}
    for name, (fires, clears) in tested.items():
        assert fires["exp_samples"] == [{"labels": f'{{alertname="{name}"}}', "value": 1}]
        assert clears["exp_samples"] == []
    done = promtool("test", "rules", *TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize("expression", ["vector(0) > 1", "vector(1)"])
def test_a_rule_that_never_fires_or_never_clears_is_seen(copies: Path, expression: str) -> None:
    """Each of promtool's tests fails for rules that are broken."""
    written = yaml.safe_load(RULES.read_text())
    for rule in written["groups"][0]["rules"]:
        rule.update(expr=expression, **{"for": "0s"})
    (copies / RULES.name).write_text(yaml.safe_dump(written))
    done = promtool("test", "rules", *(copies / path.name for path in TESTS))
    assert done.returncode == 1
    alerts = [rule["alert"] for rule in rules()]
    if expression == "vector(1)":
        assert (done.stdout + done.stderr).count("exp: nil") == len(alerts)
    else:
        assert sorted(re.findall(r'exp: \{alertname="(\w+)"\}', done.stdout + done.stderr)) == sorted(alerts)
