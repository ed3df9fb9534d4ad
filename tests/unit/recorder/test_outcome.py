"""One outcome with a reason for every call."""

from typing import Any

import pytest

from recorder.rules.outcome import Facts, refusal_reason, settle
from storage.types import Outcome


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {"end": "caller_hung_up", "was_joined": True, "kept_s": 30.0}
    return Facts(**{**values, **changes})


JOINED = {
    "whole": ({}, Outcome.RECORDED, "caller_hung_up"),
    "notice not heard": ({"blocked": "notice_not_heard"}, Outcome.BLOCKED, "notice_not_heard"),
    "discarded": ({"discarded": True}, Outcome.BLOCKED, "discarded"),
    "discarded beats an opt-out": ({"discarded": True, "opted_out": True}, Outcome.BLOCKED, "discarded"),
    "discarded beats a fault": ({"discarded": True, "fault": "disk_full"}, Outcome.BLOCKED, "discarded"),
    "opted out, a part kept": ({"opted_out": True}, Outcome.PARTIAL, "opted_out"),
    "opted out, nothing kept": ({"opted_out": True, "kept_s": 0.0}, Outcome.BLOCKED, "opted_out"),
    "disk full later": ({"fault": "disk_full"}, Outcome.PARTIAL, "disk_full"),
    "disk full at once": ({"fault": "disk_full", "kept_s": 0.0}, Outcome.FAILED, "disk_full"),
    "ended paused": ({"ended_paused": True}, Outcome.PARTIAL, "ended_while_paused"),
    "ended paused, nothing kept": ({"ended_paused": True, "kept_s": 0.0}, Outcome.PARTIAL, "ended_while_paused"),
    "no audio": ({"kept_s": 0.0}, Outcome.FAILED, "no_audio"),
    "lost": ({"lost_s": 0.5}, Outcome.PARTIAL, "audio_lost"),
    "cut off": ({"end": "officer_unreachable", "is_cut_off": True}, Outcome.PARTIAL, "officer_unreachable"),
    "cut off, one way": (
        {"end": "x_unreachable", "is_cut_off": True, "is_one_way": True},
        Outcome.PARTIAL,
        "x_unreachable",
    ),
    "cut off at once": ({"is_cut_off": True, "kept_s": 0.0}, Outcome.FAILED, "no_audio"),
    "one way": ({"is_one_way": True}, Outcome.PARTIAL, "one_way"),
    "not permitted beats a fault": ({"blocked": "x", "fault": "disk_full", "kept_s": 0.0}, Outcome.BLOCKED, "x"),
    "transferred away": ({"unrecorded": "out_of_scope"}, Outcome.RECORDED, "caller_hung_up"),
    "transferred away at once": ({"unrecorded": "out_of_scope", "kept_s": 0.0}, Outcome.BLOCKED, "out_of_scope"),
    "a mailbox": ({"unrecorded": "voicemail", "kept_s": 0.0}, Outcome.BLOCKED, "voicemail"),
    "a fax was suspected": ({"is_fax_suspected": True}, Outcome.PARTIAL, "fax_suspected"),
    "a fax was suspected, and nothing heard": ({"is_fax_suspected": True, "kept_s": 0.0}, Outcome.FAILED, "no_audio"),
    "an opt-out beats a fault": ({"opted_out": True, "fault": "disk_full"}, Outcome.PARTIAL, "opted_out"),
    "a fault beats an end while paused": ({"fault": "disk_full", "ended_paused": True}, Outcome.PARTIAL, "disk_full"),
}


@pytest.mark.parametrize(("changes", "outcome", "reason"), JOINED.values(), ids=JOINED)
def test_joined_calls(changes: dict[str, Any], outcome: Outcome, reason: str) -> None:
    assert settle(facts(**changes)) == (outcome, reason)


UNJOINED = {
    "gave up": ({"end": "caller_gave_up_during_notice"}, Outcome.NO_CONVERSATION, "caller_gave_up_during_notice"),
    "busy": ({"end": "busy"}, Outcome.NO_CONVERSATION, "busy"),
    "our ports": ({"end": "ports_exhausted"}, Outcome.FAILED, "ports_exhausted"),
    "our bug": ({"end": "internal_error"}, Outcome.FAILED, "internal_error"),
    "our stop": ({"end": "daemon_stopped"}, Outcome.FAILED, "daemon_stopped"),
    "our routes": ({"end": "no_route"}, Outcome.FAILED, "no_route"),
    "a fault": ({"end": "busy", "fault": "memory_not_locked"}, Outcome.FAILED, "memory_not_locked"),
    "discarded early": ({"end": "busy", "discarded": True}, Outcome.BLOCKED, "discarded"),
    "opted out early": ({"end": "busy", "opted_out": True}, Outcome.BLOCKED, "opted_out"),
}


@pytest.mark.parametrize(("changes", "outcome", "reason"), UNJOINED.values(), ids=UNJOINED)
def test_calls_that_were_never_joined(changes: dict[str, Any], outcome: Outcome, reason: str) -> None:
    assert settle(facts(was_joined=False, kept_s=0.0, **changes)) == (outcome, reason)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "unknown_number"), (408, "no_answer"), (480, "no_answer"), (486, "busy"), (487, "cancelled"),
     (488, "codec_refused"), (600, "busy"), (603, "declined"), (302, "refused_302"), (503, "refused_503")],
)  # fmt: skip
def test_refusals(status: int, reason: str) -> None:
    assert refusal_reason(status) == reason
