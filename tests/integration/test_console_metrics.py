"""The console's metrics after requests, and that no name, number or path is in them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from recorder.control.http_connections import ConsoleConnections
from recorder.service.console_metrics import console_registry
from recorder.service.daemon_metrics import VERSION
from recorder.web.console_alarms import console_alarms
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.metric_texts import texts_of
from tests.helpers.recorder_home import eventually

NAMES = {"dpo", "lead", "officer", "sally", "2001", "Revenues", "02079460000"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture(scope="module")
def registry(console: Console) -> CollectorRegistry:
    ends = datetime.now(UTC) + timedelta(days=9)
    return console_registry(console.deps, ConsoleConnections(console.deps.connection_limits), ends)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_requests_are_counted_by_class_and_timed(console: Console, registry: CollectorRegistry) -> None:
    def counted() -> list[float]:
        names = ("2xx", "4xx")
        return [value(registry, "recorder_console_requests_total", status=status) or 0 for status in names]

    with signed_in(console, "dpo") as dpo:
        before = counted()
        assert dpo.get("/health").status_code == 200
        assert dpo.get("/recordings?caller=02079460000").status_code == 200
        assert dpo.get("/recordings/20261125T090000Z-2001-ffffff").status_code == 404
        assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 1]
    assert (value(registry, "recorder_console_answer_seconds_count") or 0) >= 3
    assert (value(registry, "recorder_console_answer_seconds_sum") or 0) > 0


def test_state_of_the_console(console: Console, registry: CollectorRegistry) -> None:
    assert value(registry, "recorder_console_connections") == 0
    assert value(registry, "recorder_console_connections_limit") == 1000
    assert 8.9 * 86400 < (value(registry, "recorder_console_certificate_left_seconds") or 0) < 9 * 86400
    assert value(registry, "recorder_audit_entries_waiting") == 0
    eventually(lambda: value(registry, "recorder_erasures_open") == 0, "the database was asked")
    eventually(lambda: value(registry, "recorder_alarm", alarm="accounts_changed") == 0, "the accounts were read")
    assert console_alarms(console.deps) == {}


def test_no_name_number_or_path_is_in_any_sample(registry: CollectorRegistry) -> None:
    texts = texts_of(registry)
    assert not {text for text in texts for name in NAMES if name in text}
    assert all(re.fullmatch(r"[a-z_0-9]+", text) for text in texts - {VERSION})
    assert b"recordings/" not in generate_latest(registry)


def test_without_a_certificate_of_its_own_there_is_no_time_left(tmp_path: Path, console: Console) -> None:
    registry = console_registry(console.deps, ConsoleConnections(console.deps.connection_limits), None)
    assert value(registry, "recorder_console_certificate_left_seconds") is None
