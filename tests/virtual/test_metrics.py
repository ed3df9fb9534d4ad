"""The daemon's metrics after calls: what they count, and that no number, name or id is in them."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from recorder.common.clock import utc_now
from recorder.forwarding.sending_progress import SendingState
from recorder.forwarding.status import ForwardingStatus
from recorder.forwarding.webhook_delivery import WebhookState
from recorder.rules.alarm_book import AlarmBook
from recorder.service.daemon_metrics import VERSION, daemon_registry
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.metric_texts import texts_of
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange

HELD_UP_S = 1.5


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("metrics")) as made:
        yield made


@pytest.fixture(scope="module")
def registry(lines: Exchange) -> CollectorRegistry:
    return daemon_registry(cast(Any, lines.home).daemon_now.metric_sources())


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, labels)
    assert found is not None, f"there is no sample {name} {labels}"
    return found


def pause(talk: Talk) -> None:
    talk.right.press("*1")
    eventually(lambda: (found := talk.live) and found["state"] == "paused", "the key pauses")


def test_a_call_is_counted_by_state_pause_notice_and_outcome(lines: Exchange, registry: CollectorRegistry) -> None:
    talk = lines.call()
    talk.join()
    assert value(registry, "recorder_calls_in_progress", state="joined") == 1
    assert value(registry, "recorder_recordings_in_progress", state="recording") == 1
    assert value(registry, "recorder_media_legs") == 2
    assert value(registry, "recorder_media_ring_bytes") > 0
    pause(talk)
    assert value(registry, "recorder_recordings_in_progress", state="paused") == 1
    assert value(registry, "recorder_recordings_in_progress", state="recording") == 0
    talk.hang_up()
    eventually(lambda: value(registry, "recorder_calls_ended_total", outcome="partial"), "it is filed")
    assert value(registry, "recorder_calls_in_progress", state="joined") == 0
    assert value(registry, "recorder_media_legs") == 0
    assert value(registry, "recorder_calls_handled_total", handling="recorded") == 1
    assert value(registry, "recorder_notices_total", result="complete") == 1
    assert value(registry, "recorder_call_setup_seconds_count") == 1
    assert 1.0 < value(registry, "recorder_call_setup_seconds_sum") < 30.0, "the notice is a second of it"
    assert value(registry, "recorder_media_packets_received_total") > 50
    assert value(registry, "recorder_pause_shut_seconds_count", reason="agent") == 1


def test_a_notice_that_was_not_heard_in_full_is_counted(lines: Exchange, registry: CollectorRegistry) -> None:
    """An announcement service that is called sends only, so it does not hear the notice."""
    before = value(registry, "recorder_notices_total", result="cut_short")
    talk = lines.expect("2001")
    talk.answer = replace(talk.answer, media=talk.right.media(direction="sendonly"))
    talk.first = lines.caller.invite(lines.home.sip, "01632960998", from_number="2001", media=talk.left.media())
    talk.first.wait_confirmed()
    assert talk.wait_phase("joined")["state"] == "blocked"
    talk.first.hang_up()
    eventually(lambda: value(registry, "recorder_calls_ended_total", outcome="blocked"), "it is filed")
    assert value(registry, "recorder_notices_total", result="cut_short") == before + 1


def test_the_time_to_the_gate_counts_from_the_key(lines: Exchange, registry: CollectorRegistry) -> None:
    """While the call thread is held up, the key waits, and the histogram says how long."""
    talk = lines.call()
    talk.join()
    before = value(registry, "recorder_pause_shut_seconds_sum", reason="agent")
    cast(Any, lines.home).hold_up(HELD_UP_S)
    pause(talk)
    took_s = value(registry, "recorder_pause_shut_seconds_sum", reason="agent") - before
    assert 0.5 < took_s < HELD_UP_S, "the keys took some of the time"
    talk.hang_up()


def test_packets_that_never_came_are_counted_when_the_party_leaves(
    lines: Exchange, registry: CollectorRegistry
) -> None:
    before = value(registry, "recorder_media_packets_lost_total")
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    talk.left._sequence += 7
    talk.talk_for(0.5)
    talk.hang_up()
    eventually(lambda: value(registry, "recorder_media_packets_lost_total") == before + 7, "7 are missing")


def test_no_number_name_or_id_is_in_any_sample(lines: Exchange, registry: CollectorRegistry) -> None:
    talk = lines.call()
    talk.join()
    live = talk.live
    assert live is not None
    known = {"2001", "alice", "Revenues", lines.home.sip[0], talk.number, *live["id"].split("-")}
    assert known < {*re.split(r"[^\w.]+", str(live)), lines.home.sip[0]}, "they are what people see of the call"
    page = generate_latest(registry)
    assert len(page.splitlines()) > 300
    shown = texts_of(registry)
    assert [text for text in shown if re.search(r"\d{3}", text)] == []
    assert {text for text in shown for one in known if one in text} == set()
    assert all(re.fullmatch(r"[a-z_0-9]+", text) for text in shown - {VERSION})
    talk.hang_up()


def test_an_alarm_is_a_gauge_by_its_code_and_one_that_is_not_known_is_other(
    lines: Exchange, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert value(registry, "recorder_alarm", alarm="disk_full") == 0
    alarms = AlarmBook(utc_now)
    for name in ("disk_full", "disk_full", "07700900123"):
        alarms.raise_event(name)
    monkeypatch.setattr(cast(Any, lines.home).daemon_now.services, "alarms", alarms)
    assert value(registry, "recorder_alarm", alarm="disk_full") == 2
    assert value(registry, "recorder_alarms_raised_total", alarm="disk_full") == 2
    assert value(registry, "recorder_alarm", alarm="other") == 1
    assert b"07700900123" not in generate_latest(registry)


def test_a_passed_call_has_a_state(lines: Exchange, registry: CollectorRegistry) -> None:
    talk = lines.call("4000")
    talk.first.wait_confirmed(8)
    eventually(lambda: value(registry, "recorder_calls_in_progress", state="through_joined") == 1, "it is joined")
    assert value(registry, "recorder_recordings_in_progress", state="recording") == 0
    talk.first.hang_up()
    eventually(lambda: value(registry, "recorder_calls_in_progress", state="through_joined") == 0, "it has ended")


def test_the_last_verification_of_the_audit_log_is_read(lines: Exchange, registry: CollectorRegistry) -> None:
    assert registry.get_sample_value("recorder_audit_problems") is None
    made = lines.home.root / "keys" / "node" / "sign.key"
    os.utime(made, (time.time() - 4 * 86_400,) * 2)
    for never in ("recorder_audit_verified_age_seconds", "recorder_recordings_verified_age_seconds"):
        assert value(registry, never) > 3 * 86_400, "what was never done is as old as the home"
    assert registry.get_sample_value("recorder_backup_age_seconds") is None, "there is no destination"
    assert lines.home.run("audit", "verify", "-C", str(lines.home.root)).returncode == 0
    assert value(registry, "recorder_audit_problems") == 0
    assert value(registry, "recorder_audit_verified_age_seconds") < 60


def test_what_waits_for_other_systems_is_summed_without_their_names(
    lines: Exchange, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert value(registry, "recorder_forwarding_waiting", to="webhooks") == 0
    status = ForwardingStatus(
        at=utc_now(), syslog=SendingState(waiting=3),
        webhooks=(WebhookState(name="crm", waiting=2, given_up=1), WebhookState(name="wallboard", waiting=5)),
    )  # fmt: skip
    services = cast(Any, lines.home).daemon_now.services
    monkeypatch.setattr(services, "forwarding", lambda: {"alarms": {"webhook_failing": 1}, **status.as_json()})
    assert value(registry, "recorder_forwarding_waiting", to="syslog") == 3
    assert value(registry, "recorder_forwarding_waiting", to="webhooks") == 7
    assert value(registry, "recorder_forwarding_given_up", to="webhooks") == 1
    assert value(registry, "recorder_alarm", alarm="webhook_failing") == 1
    assert b"wallboard" not in generate_latest(registry)


def test_the_health_report_has_disk_and_writer(lines: Exchange) -> None:
    found = lines.home.health()
    assert found["writer"] == {"lag_s": pytest.approx(0.0, abs=0.1), "late_periods": 0}
    assert found["disk"] is None, "nobody looks at the disk in virtual time"
