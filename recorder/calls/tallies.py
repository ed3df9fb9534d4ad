"""What the daemon counts and measures for its metrics while calls go on: one instrument each.

A metric that is measured is a line here; one that is read from state is a row of
`recorder.service.daemon_metrics.TABLE`. No instrument takes a number, a name or an id.
"""

from recorder.common.instruments import Durations, Instruments, LabelledCounter
from recorder.rules.pausing import PauseKind, kind_of
from storage.types import Outcome

COMPLETE, CUT_SHORT = "complete", "cut_short"
"""Whether a notice was heard in full."""
_TO_GATE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_SET_UP_S = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_SYNC_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Tallies(Instruments):
    """The daemon's instruments. Any thread may use them."""

    def __init__(self) -> None:
        self.ended = LabelledCounter(
            "recorder_calls_ended_total", "Calls of nominated extensions that are filed, by outcome.",
            "outcome", map(str, Outcome),
        )  # fmt: skip
        self.set_up = Durations(
            "recorder_call_setup_seconds",
            "From the INVITE of a recorded call until its sides were joined, notice and ringing included.", _SET_UP_S,
        )  # fmt: skip
        self.notices = LabelledCounter(
            "recorder_notices_total", "Notices that were begun and are over, by whether they were heard in full.",
            "result", (COMPLETE, CUT_SHORT),
        )  # fmt: skip
        self.pauses = Durations(
            "recorder_pause_shut_seconds",
            "From the key or request of a pause until the recording gate was shut, by kind of reason.", _TO_GATE_S,
            "reason", map(str, PauseKind),
        )  # fmt: skip
        self.syncs = Durations(
            "recorder_writer_sync_seconds", "Time in which a recording was synced to the disk.", _SYNC_S
        )

    def paused(self, reason: str, took_s: float) -> None:
        """Note a pause that shut a gate, by its reason and the time since it was requested, seconds."""
        self.pauses.took(took_s, kind_of(reason).value)
