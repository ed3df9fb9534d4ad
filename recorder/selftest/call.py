"""Makes the call of a self-test: what the two phones do, and what was seen meanwhile."""

import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recorder.calls.rules.call_events import CallState
from recorder.demo.phones.messages import PhoneError, PhoneEvent
from recorder.demo.phones.phone import Phone
from recorder.selftest.signals import Signal, voice, write

_LEAD_S = 1.5
"""How long both talk, besides what a pause erases, before the pause."""
_SETTLING_S = 0.3
_PAUSED_S = 0.6
_AFTER_S = 1.6
_KEY_S = 0.2
_LOOK_S = 0.05
_STATE_S = 5.0
_ANSWER_S, _JOIN_S, _FILED_S = 15.0, 10.0, 30.0
_NOTICE_S = 180.0
_MOST_DIGITS = 10
_WAY_OF_A_KEY = 2
"""Threads of a process that a key passes, or that hold a lock which one of them needs."""
_HELD = frozenset({CallState.NOTICE_HELD.value, CallState.SECOND_HELD.value})
"""Phases in which the officer has answered and waits for the end of the notice, where it plays after the answer."""

Look = Callable[[], dict[str, Any]]
"""Asks the daemon how the self-test goes."""


class CallFailedError(Exception):
    """The call came no further; the message is a sentence that names the check."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.name = name


@dataclass(slots=True, kw_only=True)
class CallSeen:
    """What was seen of the call.

    Attributes:
        caller: What the caller's phone says.
        officer: What the officer's says.
        heard_by_caller: File of what the caller heard.
        heard_by_officer: File of what the officer heard.
        digits: What the caller keyed in the pause.
        paused_at: Sample of the officer's voice at which the last key of the pause was released; None if unknown.
        starved_s: How long those that audio and keys pass waited for a processor before and as the keys were pressed,
            in all.
        lead_s: How long both had talked before the keys.
        resumed_at_s: From when on both were recorded again, seconds of the voices.
        longest_wait_s: How long the writer was seen in one operation at most.
        clock_off_s: How far the daemon's clock was off, at most.
        state: How the self-test stood at the end.
    """

    caller: Signal
    officer: Signal
    heard_by_caller: Path
    heard_by_officer: Path
    digits: str
    paused_at: int | None = None
    starved_s: float = 0.0
    lead_s: float = 0.0
    resumed_at_s: float = 0.0
    longest_wait_s: float = 0.0
    clock_off_s: float = 0.0
    state: dict[str, Any] = field(default_factory=dict)


class CheckedCall:
    """The call.

    Args:
        folder: For files.
        begun: The daemon's answer to the beginning of the self-test.
        look: Asks the daemon.
        keys: Pause and resume keys, as recorder.toml has them.
        tell: Told what happens.
    """

    def __init__(
        self, folder: Path, begun: dict[str, Any], look: Callable[[CallSeen], dict[str, Any]], *,
        keys: tuple[str, str], tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._begun, self._look, self._keys, self._tell = begun, look, keys, tell
        lead_s = float(begun["erase_s"]) + _LEAD_S
        digits = "".join(str(secrets.randbelow(10)) for _ in range(_MOST_DIGITS))
        length_s = lead_s + (_MOST_DIGITS + 8) * _KEY_S + _PAUSED_S + _AFTER_S + 8 * _STATE_S
        self.seen = CallSeen(
            caller=voice(length_s), officer=voice(length_s), digits=digits, lead_s=lead_s,
            heard_by_caller=folder / "heard-by-caller.wav", heard_by_officer=folder / "heard-by-officer.wav",
        )  # fmt: skip
        self._sounds = folder / "caller.wav", folder / "officer.wav"
        write(self.seen.caller, self._sounds[0])
        write(self.seen.officer, self._sounds[1])
        self._began_s = 0.0

    def hold(self, caller: Phone, officer: Phone) -> None:
        """Make the call, from the first ring to the filed recording.

        Raises:
            CallFailedError: It came no further.
            PhoneError: A phone failed.
        """
        self._connect(caller, officer)
        self._talk_and_pause(caller, officer)
        caller.hang_up()
        officer.wait_for("disconnected", timeout_s=_JOIN_S)
        self._until(lambda state: state["ended"] is not None, _FILED_S, "filed", "the call was not filed within 30 s")

    def _connect(self, caller: Phone, officer: Phone) -> None:
        officer.auto_answer(0.05)
        officer.record(self.seen.heard_by_officer)
        caller.record(self.seen.heard_by_caller)
        caller.call(f"sip:{self._begun['number']}@{self._begun['sip']}")
        event = caller.wait_for("confirmed", "disconnected", timeout_s=_ANSWER_S)
        if event.name == "disconnected":
            raise CallFailedError("call", self._refusal(event))
        self._tell("the recorder has answered, and plays the notice")
        if not _comes(officer, "incoming", _NOTICE_S):
            raise CallFailedError("call", "the recorder did not call the officer's phone after the notice")
        officer.wait_for("confirmed", timeout_s=_JOIN_S)
        self._until(
            lambda state: state["phase"] == CallState.JOINED.value, _JOIN_S, "call", "the two sides were not joined",
            after=_HELD,
        )  # fmt: skip
        caller.play(self._sounds[0])
        officer.play(self._sounds[1])
        self._began_s = time.monotonic()
        self._tell("the sides are joined, and both talk")

    def _refusal(self, event: PhoneEvent) -> str:
        refused = self._look(self.seen)["refused"]
        if refused is not None and refused[1] == "ports_exhausted":
            return "the recorder refused the call with 503: all media ports are taken; widen [media] ports"
        return f"the recorder refused the call with {event.code} {event.text}".strip()

    def _talk_and_pause(self, caller: Phone, officer: Phone) -> None:
        seen = self.seen
        pause, resume = self._keys
        passed = {os.getpid(), officer.pid, self._begun["pid"]}
        self._watch(_SETTLING_S)
        waited = _waited_s(passed)  # what came late is erased by its arrival: what is late in all that time counts
        self._watch(seen.lead_s - _SETTLING_S)
        self._tell(f"the officer presses {pause} to pause")
        officer.send_dtmf(pause)
        seen.paused_at = _last_pressed(officer, pause)
        self._until_state("paused", "pause", f"the keys {pause} do not pause: the recording goes on")
        seen.starved_s = _starved_s(waited, _waited_s(passed))
        self._tell("the caller keys digits, as of a card")
        caller.send_dtmf(seen.digits)
        self._watch(len(seen.digits) * _KEY_S + _PAUSED_S)
        self._tell(f"the officer presses {resume} to go on")
        officer.send_dtmf(resume)
        self._until_state("recording", "resume", f"the keys {resume} do not resume: the recording stays paused")
        seen.resumed_at_s = time.monotonic() - self._began_s
        self._watch(_AFTER_S)

    def _until_state(self, wanted: str, name: str, sentence: str) -> None:
        self._until(lambda state: state["state"] == wanted, _STATE_S, name, f"{sentence}; is recorder.toml reloaded?")

    def _until(
        self, is_so: Callable[[dict[str, Any]], bool], within_s: float, name: str, sentence: str, *,
        after: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        """Wait for something that has to come within a time; phases that have to pass before do not count."""
        deadline = time.monotonic() + within_s
        while not is_so(state := self._look(self.seen)):
            if state["phase"] in after:
                deadline = time.monotonic() + within_s
            if state["refused"] is not None or time.monotonic() > deadline:
                raise CallFailedError(name, sentence)
            time.sleep(_LOOK_S)

    def _watch(self, seconds: float) -> None:
        """Let so much time pass, and look how the daemon does."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._look(self.seen)
            time.sleep(_LOOK_S)


def _comes(phone: Phone, name: str, within_s: float) -> bool:
    try:
        phone.wait_for(name, timeout_s=within_s)
    except PhoneError:
        return False
    return True


def _waited_s(processes: Iterable[int]) -> dict[int, dict[int, float]]:
    """Return how long each thread of some processes has waited for a processor, seconds, as far as Linux says."""
    found: dict[int, dict[int, float]] = {}
    for pid in processes:
        found[pid] = {}
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError, IndexError):
                    found[pid][int(task.name)] = int((task / "schedstat").read_bytes().split()[1]) / 1e9
    return found


def _starved_s(before: dict[int, dict[int, float]], after: dict[int, dict[int, float]]) -> float:
    """Return how long those waited in between that a key passes: in each process two threads, the slowest counted."""
    return sum(
        sum(sorted(waited - before[pid].get(thread, 0.0) for thread, waited in threads.items())[-_WAY_OF_A_KEY:])
        for pid, threads in after.items()
    )


def _last_pressed(phone: Phone, keys: str) -> int | None:
    """Return the sample of its voice at which the last key was released; None if the phone does not say that."""
    at = None
    for _ in keys:
        try:
            at = phone.wait_for("pressed", timeout_s=2.0).code
        except PhoneError:
            return None
    return at
