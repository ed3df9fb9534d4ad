"""Tables of metrics and instruments: closed labels, and a metric that cannot be read hides no other."""

import logging
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from recorder.common.instruments import Durations, LabelledCounter
from recorder.common.metric_table import MetricKind, Row, TableCollector, registry_of


def broken(_: object) -> float:
    raise OSError("no such disk, 02079460000")


TABLE: tuple[Row[Mapping[str, float]], ...] = (
    Row(name="recorder_broken", kind=MetricKind.GAUGE, help="Cannot be read.", read=broken),
    Row(name="recorder_by_state", kind=MetricKind.GAUGE, help="All.", label="state", values=("up", "down"),
        read=lambda at: at),
    Row(name="recorder_some", kind=MetricKind.COUNTER, help="Some.", label="state", values=("up", "down"),
        has_all=False, read=lambda at: {"up": at["up"]}),
    Row(name="recorder_unknown", kind=MetricKind.GAUGE, help="Not known.", read=lambda at: None),
    Row(name="recorder_plain_total", kind=MetricKind.COUNTER, help="One.", read=lambda at: at["up"]),
)  # fmt: skip


@pytest.fixture
def registry() -> CollectorRegistry:
    return registry_of(TableCollector(TABLE, lambda: {"up": 3.0, "02079460000": 1.0, "another": 1.0}))


def test_values_that_are_in_no_set_are_other(registry: CollectorRegistry) -> None:
    page = generate_latest(registry).decode()
    assert 'recorder_by_state{state="up"} 3.0\nrecorder_by_state{state="down"} 0.0\n' in page
    assert 'recorder_by_state{state="other"} 2.0' in page
    assert "02079460000" not in page


def test_only_what_is_known_is_shown(registry: CollectorRegistry) -> None:
    page = generate_latest(registry).decode()
    assert [line for line in page.splitlines() if line.startswith("recorder_some")] == [
        'recorder_some_total{state="up"} 3.0'
    ]
    assert "\nrecorder_unknown" not in page
    assert "\nrecorder_plain_total 3.0" in page


def test_one_that_cannot_be_read_is_left_out_and_logged_once(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        pages = [generate_latest(registry).decode() for _ in range(3)]
    assert all("recorder_broken" not in page and "recorder_plain_total" in page for page in pages)
    assert [record.message for record in caplog.records] == [
        "metric recorder_broken cannot be read and is left out: OSError"
    ]


def test_instruments_have_closed_labels_from_the_start() -> None:
    tally = LabelledCounter("recorder_calls_total", "Calls.", "outcome", ("recorded", "failed"))
    took = Durations("recorder_took_seconds", "Time.", (0.1, 1.0), "reason", ("agent",))
    registry = registry_of(tally.metric, took.metric)
    assert registry.get_sample_value("recorder_calls_total", {"outcome": "failed"}) == 0
    tally.add("recorded")
    tally.add("07700900123")
    took.took(0.5, "agent")
    took.took(0.5, "token:till 4")
    assert registry.get_sample_value("recorder_calls_total", {"outcome": "recorded"}) == 1
    assert registry.get_sample_value("recorder_calls_total", {"outcome": "other"}) == 1
    assert registry.get_sample_value("recorder_took_seconds_bucket", {"reason": "agent", "le": "0.1"}) == 0
    assert registry.get_sample_value("recorder_took_seconds_count", {"reason": "other"}) == 1
    page = generate_latest(registry).decode()
    assert "07700900123" not in page
    assert "till" not in page
    assert "_created" not in page


def test_an_instrument_without_a_label() -> None:
    took = Durations("recorder_took_seconds", "Time.", (1.0,))
    took.took(2.0)
    registry = registry_of(took.metric)
    assert registry.get_sample_value("recorder_took_seconds_sum") == 2.0
