"""A telephone for the demonstration and the tests, driven from the parent process.

The phone is an independent SIP stack, so that a successful call is evidence: pjsua2 if it can be imported, else
baresip, else the built-in one. The first two run in a process of their own, since pjsua2 aborts on an assertion; if it
dies, that is a `PhoneError` here. The built-in phone runs on a thread. All have the same abilities, events and errors,
but that the built-in one has no encryption. A phone has one call at a time, speaks PCMA and has no sound card.

Every command waits until the phone's process has carried it out. Otherwise a call that arrives while the process waits
for the CPU would be handled before the command that says how to answer it, and refused.
"""

import contextlib
import multiprocessing
import os
import tempfile
import threading
import time
import wave
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from recorder.demo.phones.kinds import PhoneKind, choose
from recorder.demo.phones.messages import RATE, Command, CommandDone, PhoneError, PhoneEvent
from recorder.demo.phones.process import serve

_START_S = 20.0
_COMMAND_S = 20.0
"""Timeout of a command; commands are carried out at once, except on a busy machine."""


class Phone:
    """Drives a phone. Use it as a context manager; not for several threads."""

    def __init__(self, user: str, *, kind: PhoneKind | None = None, srtp: bool = False) -> None:
        """Describe the phone; `start` starts it.

        Args:
            user: User part of its own address, such as ``2001``.
            kind: The program; None takes the one that `choose` prefers.
            srtp: Whether its calls are encrypted with keys in SDP (RFC 4568), or else refused.
        """
        self._user, self._kind, self._srtp = user, kind, srtp
        self._port: int | None = None
        self._pipe: Connection | None = None
        self._process: Any = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._commands = 0
        self._unread: deque[PhoneEvent] = deque()
        self.events: list[PhoneEvent] = []
        """Events that have been read, in order."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The SIP port that the phone listens on at 127.0.0.1, after `start`."""
        if self._port is None:
            raise PhoneError("not started")
        return self._port

    @property
    def pid(self) -> int:
        """The id of the phone's process, while it runs."""
        if self._pipe is None:
            raise PhoneError("not started")
        return int(self._process.pid)

    def start(self) -> None:
        """Start the process and wait until it listens on a free port of 127.0.0.1.

        Raises:
            PhoneError: The phone's program is not installed, or does not start.
        """
        kind = choose(self._kind)
        context = multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory(prefix="recorder-demo-phone-")
        self._pipe, theirs = context.Pipe()
        self._process = (_Thread if kind is PhoneKind.BUILT_IN else context.Process)(
            target=serve,
            args=(theirs, kind, self._user, self._srtp, Path(self._folder.name)),
            name=f"phone {self._user}",
            daemon=True,
        )
        self._process.start()
        if kind is not PhoneKind.BUILT_IN:
            theirs.close()
        try:
            self._port = self.wait_for("started", timeout_s=_START_S).code
        except PhoneError:
            self.close()
            raise

    def call(self, uri: str, *, play: Path | None = None) -> None:
        """Call a SIP URI; ``play`` is a WAV (8 kHz, 16 bit, mono) to send once the call has media.

        Raises:
            PhoneError: There is a call already, or it is not a ``sip:`` URI, or no such WAV.
        """
        if not uri.startswith("sip:"):
            raise PhoneError(f"not a SIP URI: {uri}")
        self._do("call", uri, _wav(play))

    def auto_answer(self, after_s: float, *, play: Path | None = None) -> None:
        """Answer each incoming call with 180 at once and 200 after ``after_s`` seconds.

        Calls that arrive before this are refused with 486.
        """
        self._do("auto_answer", after_s, _wav(play))

    def reject(self) -> None:
        """Refuse each incoming call with 486 Busy Here, the only refusal that baresip 1.x can send."""
        self._do("reject")

    def play(self, wav: Path) -> None:
        """Send a WAV (8 kHz, 16 bit, mono) now; it replaces one that is being played.

        Raises:
            PhoneError: There is no call, or no such WAV.
        """
        self._do("play", _wav(wav))

    def record(self, wav: Path) -> None:
        """Record received audio to a WAV (8 kHz, 16 bit, mono) from the next media on, or now in a call.

        The file is complete when the call is reported as ``disconnected``, and after `close`.
        """
        if not wav.parent.is_dir():
            raise PhoneError(f"no such folder: {wav.parent}")
        self._do("record", str(wav.absolute()))

    def send_dtmf(self, digits: str) -> None:
        """Send digits as RFC 4733 events, one after the other.

        Raises:
            PhoneError: There is no call, or something is not a digit of a keypad.
        """
        if not digits or set(digits) - set("0123456789*#ABCD"):
            raise PhoneError(f"not digits: {digits!r}")
        self._do("send_dtmf", digits)

    def hold(self, *, is_held: bool = True) -> None:
        """Put the far side on hold, or take it off hold, by re-INVITE.

        Raises:
            PhoneError: There is no call.
        """
        self._do("hold", is_held)

    def hang_up(self) -> None:
        """End the call; without one, do nothing."""
        self._do("hang_up")

    def wait_for(self, *names: str, timeout_s: float = 10.0) -> PhoneEvent:
        """Return the next event with one of these names; earlier ones are kept in `events`.

        Raises:
            PhoneError: It did not come in time, the phone reported an error, or its process has ended.
        """
        deadline = time.monotonic() + timeout_s
        while (event := self.next_event(max(0.0, deadline - time.monotonic()))) is not None:
            if event.name in names:
                return event
            if event.name == "error":
                raise PhoneError(event.text)
        seen = ", ".join(event.name for event in self.events[-8:])
        raise PhoneError(
            f"phone {self._user}: no {' or '.join(names)} within {timeout_s:g} s; last: {seen or 'nothing'}"
        )

    def next_event(self, timeout_s: float) -> PhoneEvent | None:
        """Return the next event, or None if none comes in time.

        Raises:
            PhoneError: The process has ended.
        """
        deadline = time.monotonic() + timeout_s
        while not self._unread:
            message = self._receive(max(0.0, deadline - time.monotonic()))
            if message is None:
                return None
            if isinstance(message, PhoneEvent):  # an answer that came too late is dropped
                self._unread.append(message)
        event = self._unread.popleft()
        self.events.append(event)
        return event

    def close(self) -> None:
        """End the call and the process; safe to call twice."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.send(Command(number=0, name="quit", arguments=()))
            self._process.join(5.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            pipe.close()
            self._process.close()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def _do(self, name: str, *arguments: object) -> None:
        """Have a command carried out, and wait for it.

        Raises:
            PhoneError: The phone refused it, or its process has ended or does not answer.
        """
        if self._pipe is None:
            raise PhoneError("not started")
        self._commands += 1
        try:
            self._pipe.send(Command(number=self._commands, name=name, arguments=arguments))
        except OSError:
            raise self._gone() from None
        deadline = time.monotonic() + _COMMAND_S
        while (message := self._receive(max(0.0, deadline - time.monotonic()))) is not None:
            if isinstance(message, PhoneEvent):
                self._unread.append(message)
            elif message.number == self._commands:
                if message.error:
                    raise PhoneError(f"phone {self._user}: {name}: {message.error}")
                return
        raise PhoneError(f"phone {self._user}: {name} was not carried out within {_COMMAND_S:g} s")

    def _receive(self, timeout_s: float) -> PhoneEvent | CommandDone | None:
        if self._pipe is None:
            raise PhoneError("not started")
        try:
            if not self._pipe.poll(timeout_s):
                return None
            message: PhoneEvent | CommandDone = self._pipe.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        return message

    def _gone(self) -> PhoneError:
        return PhoneError(f"phone {self._user}: its process has ended")


class _Thread(threading.Thread):
    """A thread with the methods of a process that `Phone` uses."""

    @property
    def pid(self) -> int:
        """Return the id of this process."""
        return os.getpid()

    def kill(self) -> None:
        """Do nothing: a thread cannot be killed, and ends with the process."""

    def close(self) -> None:
        """Do nothing."""


def _wav(path: Path | None) -> str | None:
    """Check a WAV and return its path; the programs would find faults late, each in its own words, or never."""
    if path is None:
        return None
    if not path.is_file():
        raise PhoneError(f"no such WAV: {path}")
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            length = file.getnframes()
    except (wave.Error, EOFError) as error:
        raise PhoneError(f"not a WAV: {path}: {error}") from error
    if shape != (RATE, 2, 1) or not length:
        raise PhoneError(f"{path}: a phone plays WAV of 8 kHz, 16 bit, mono, with something in it")
    return str(path.absolute())
