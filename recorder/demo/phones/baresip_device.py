"""baresip as a phone.

If digits arrive without audio between them, baresip 1.x reports only the first. It also misses a repeated digit from a
phone that stops its audio while a key is held.
"""

import re
import time
import wave
from pathlib import Path
from typing import Any

from recorder.demo.phones.baresip_audio import Ear, Mouth
from recorder.demo.phones.baresip_control import Baresip
from recorder.demo.phones.device import Say
from recorder.demo.phones.messages import PhoneError, PhoneEvent

_POLL_S = 0.01


class BaresipDevice:
    """baresip as a phone; see `device.Device`."""

    def __init__(self, report: Say, user: str, folder: Path, *, srtp: bool) -> None:
        """Start baresip and listen on a free port of 127.0.0.1.

        Args:
            report: Reports an event.
            user: User part of its address.
            folder: The phone's folder.
            srtp: Whether calls are encrypted with keys in SDP, or else refused.

        Raises:
            PhoneError: baresip is not installed or does not start.
        """
        self._report = report
        self._forget_call()
        self._answer: tuple[float, str | None] | None = None
        self._mouth, self._ear = Mouth(folder / "mouth"), Ear(folder / "ear")
        self._baresip = Baresip(folder, user, self._move_audio, srtp=srtp)
        self.port = self._baresip.port

    def _forget_call(self) -> None:
        self._direction = ""  # direction of the call; empty without a call
        self._has_media = self._is_up = self._is_refused = False
        self._wav: str | None = None  # audio to send from the beginning of the call
        self._answer_at: float | None = None

    def _move_audio(self) -> None:
        self._mouth.speak()
        self._ear.listen()

    def _say(self, name: str, code: int = 0, text: str = "") -> None:
        self._report(PhoneEvent(name=name, code=code, text=text))

    def turn(self) -> None:
        """Handle baresip's events, and acts that are due."""
        for event in self._baresip.messages(_POLL_S):
            self._see(event)
        self._move_audio()
        if self._answer_at is not None and time.monotonic() >= self._answer_at:
            self._answer_at = None
            self._baresip.request("accept")  # fails if the caller has just given up, which the next event reports
        if self._mouth.has_played:
            self._mouth.play(b"")
            self._say("played")

    def _see(self, event: dict[str, Any]) -> None:
        kind, parameter = event.get("type"), str(event.get("param", ""))
        if kind == "CALL_INCOMING":
            self._take(str(event.get("peeruri", "")))
        elif kind == "CALL_RINGING":
            self._say("early", 180, "Ringing")
        elif kind == "CALL_PROGRESS":
            self._begin_media()
            self._say("early", 183, "Session Progress")
        elif kind == "CALL_ESTABLISHED":
            self._begin_media()
            self._is_up = True
            self._say("confirmed", 200, "OK")
        elif kind == "CALL_DTMF_START":
            self._say("digit", text=parameter)
        elif kind == "CALL_CLOSED":
            self._end(parameter)

    def _take(self, caller: str) -> None:
        self._direction = "incoming"
        if self._answer is None:
            self._is_refused = True
            self._baresip.request("hangup")  # for an unanswered call this sends 486
            self._say("refused", 486, caller)
            return
        after_s, self._wav = self._answer
        self._say("incoming", text=caller)
        self._say("early", 180, "Ringing")  # baresip sends it automatically
        self._answer_at = time.monotonic() + after_s

    def _begin_media(self) -> None:
        if not self._has_media:
            self._has_media = True
            self._mouth.play(_audio(self._wav))

    def _end(self, reason: str) -> None:
        # baresip closes its device before the event, so all received audio is in the pipe.
        self._ear.finish()
        is_refused, (code, text) = self._is_refused, end_status(reason, self._direction, is_up=self._is_up)
        self._forget_call()
        self._mouth.play(b"")
        if not is_refused:
            self._say("disconnected", code, text)

    def do_call(self, uri: str, wav: str | None) -> None:
        """Call a URI."""
        if self._direction:
            raise PhoneError("there is a call already")
        self._request("dial", uri)
        self._direction, self._wav = "outgoing", wav
        self._say("calling")

    def do_auto_answer(self, after_s: float, wav: str | None) -> None:
        """Answer incoming calls."""
        self._answer = after_s, wav

    def do_reject(self) -> None:
        """Refuse incoming calls."""
        self._answer = None

    def do_play(self, wav: str) -> None:
        """Send a WAV in the call."""
        if not self._direction:
            raise PhoneError("there is no call")
        self._wav = wav
        if self._has_media:
            self._mouth.play(_audio(wav))

    def do_record(self, wav: str) -> None:
        """Record received audio."""
        self._ear.record(Path(wav))

    def do_send_dtmf(self, digits: str) -> None:
        """Send RFC 4733 events."""
        self._check_answered()
        self._request("sndcode", digits)

    def do_hold(self, is_held: bool) -> None:
        """Hold the far side, or take it off hold."""
        self._check_answered()
        if is_held:
            self._request("hold")
        else:
            # baresip 1.1.0 resumes the call, but reports a failure if there was no other call to hold.
            self._baresip.request("resume")

    def do_hang_up(self) -> None:
        """End the call, if there is one."""
        if self._direction:
            self._baresip.request("hangup")  # fails if the far side has just ended it, which the next event reports

    def shut_down(self) -> None:
        """End the call, finish the recording and end baresip."""
        self._baresip.stop()
        self._ear.close()
        self._mouth.close()

    def _check_answered(self) -> None:
        if not self._is_up:
            raise PhoneError("there is no answered call")

    def _request(self, command: str, parameters: str = "") -> None:
        is_done, said = self._baresip.request(command, parameters)
        if not is_done:
            raise PhoneError(f"baresip refused {command}: {said.strip()}")


def _audio(wav: str | None) -> bytes:
    if wav is None:
        return b""
    with wave.open(wav, "rb") as file:
        return file.readframes(file.getnframes())


def end_status(reason: str, direction: str, *, is_up: bool) -> tuple[int, str]:
    """Return SIP status and reason phrase of an ended call, as the other phone would report them.

    Args:
        reason: baresip's text: status and phrase of a refusal, or a system error.
        direction: ``incoming`` or ``outgoing``.
        is_up: Whether it was answered.
    """
    if is_up:
        return 200, "Normal call clearing"
    if found := re.fullmatch(r"([3-6]\d\d) (.*)", reason):
        return int(found[1]), found[2]
    if direction == "incoming" or reason == "Connection reset by user":
        return 487, "Request Terminated"
    if reason == "Connection timed out":
        return 408, "Request Timeout"
    return 503, reason or "Service Unavailable"  # RFC 3261 section 8.1.3.1
