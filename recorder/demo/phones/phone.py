"""A telephone for the demo, the self-test and the tests: pjsua2 in a process of its own.

An independent stack, so that a call that works proves something. pjsua2 wants all its objects on one thread and aborts
its process on an assertion, hence a spawned process with one thread; a phone that dies is a `PhoneError` here and never
more. One phone holds one call at a time (pjsua2's wheel is built for four); it speaks PCMA only and has no sound card.
"""

import contextlib
import multiprocessing
import os
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_POLL_MS = 10
_START_S = 20.0


class PhoneError(Exception):
    """The phone's process is gone, refused a command, or an event did not come in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneEvent:
    """What happened on the phone.

    Attributes:
        name: ``started``, ``incoming``, ``calling``, ``early``, ``confirmed``, ``disconnected``, ``played`` (a WAV came
            to its end), ``digit`` or ``error``.
        code: SIP status behind it, 0 when there is none.
        text: Reason phrase, caller's URI, digit or error.
        at: `time.monotonic` when it happened.
    """

    name: str
    code: int = 0
    text: str = ""
    at: float = field(default_factory=time.monotonic)


class Phone:
    """Drives a phone from the parent process. Use it as a context manager; not for several threads."""

    def __init__(self, user: str, *, host: str = "127.0.0.1", port: int = 0, srtp: bool = False) -> None:
        """Describe the phone; `start` brings it up.

        Args:
            user: User part of its own address, such as ``2001``.
            host: Local IP literal.
            port: SIP port, 0 for a free one.
            srtp: Its calls are encrypted with keys in SDP (RFC 4568), or refused.
        """
        self._user, self._host, self._wanted_port, self._srtp = user, host, port, srtp
        self._port: int | None = None
        self._pipe: Connection | None = None
        self._process: Any = None
        self.events: list[PhoneEvent] = []
        """Everything that has happened and has been read, in order."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The SIP port that the phone listens on, after `start`."""
        if self._port is None:
            raise PhoneError("not started")
        return self._port

    def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            PhoneError: pjsua2 is not installed, or the port is taken.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_main,
            args=(theirs, self._user, self._host, self._wanted_port, self._srtp),
            name=f"phone {self._user}",
            daemon=True,
        )
        self._process.start()
        theirs.close()
        try:
            self._port = self.wait_for("started", timeout_s=_START_S).code
        except PhoneError:
            self.close()
            raise

    def call(self, uri: str, *, play: Path | None = None) -> None:
        """Call a SIP URI; ``play`` is a mono 16-bit WAV that is sent once the call has media."""
        self._send("call", uri, _text(play))

    def auto_answer(self, after_s: float, *, play: Path | None = None, ring: bool = True) -> None:
        """Answer each incoming call with 200 after ``after_s`` seconds, with 180 until then if ``ring``."""
        self._send("auto_answer", after_s, _text(play), ring)

    def reject_with(self, status: int) -> None:
        """Refuse each incoming call with a status in [300, 699]."""
        self._send("reject_with", status)

    def play(self, wav: Path) -> None:
        """Send a WAV now; it takes the place of one that is being played."""
        self._send("play", _text(wav))

    def record(self, wav: Path) -> None:
        """Write what is heard to a WAV (8 kHz, 16 bit, mono) from the next media on, or now in a call."""
        self._send("record", str(wav))

    def send_dtmf(self, digits: str) -> None:
        """Send digits as RFC 4733 events, one after the other."""
        self._send("send_dtmf", digits)

    def hold(self, *, is_held: bool = True) -> None:
        """Put the far side on hold, or take it back, by re-INVITE."""
        self._send("hold", is_held)

    def hang_up(self) -> None:
        """End the call."""
        self._send("hang_up")

    def wait_for(self, *names: str, timeout_s: float = 10.0) -> PhoneEvent:
        """Return the next event with one of these names; those before it are kept in `events`.

        Raises:
            PhoneError: It did not come in time, the phone reported an error, or its process is gone.
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
        """Return the next event, or None when none comes in time.

        Raises:
            PhoneError: The process is gone.
        """
        if self._pipe is None:
            raise PhoneError("not started")
        try:
            if not self._pipe.poll(timeout_s):
                return None
            event: PhoneEvent = self._pipe.recv()
        except (EOFError, OSError):
            raise PhoneError(f"phone {self._user}: its process has ended") from None
        self.events.append(event)
        return event

    def close(self) -> None:
        """End the call and the process; safe to call twice."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.send(("quit", ()))
            self._process.join(5.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            pipe.close()
            self._process.close()

    def _send(self, command: str, *args: object) -> None:
        if self._pipe is None:
            raise PhoneError("not started")
        try:
            self._pipe.send((command, args))
        except OSError:
            raise PhoneError(f"phone {self._user}: its process has ended") from None


def _text(path: Path | None) -> str | None:
    # Checked here: pjsua2 would find out inside a callback, where nobody hears of it.
    if path is not None and not path.is_file():
        raise PhoneError(f"no such WAV: {path}")
    return None if path is None else str(path)


def _main(pipe: Connection, user: str, host: str, port: int, srtp: bool) -> None:
    """Run a phone until told to quit or the parent is gone; the child's only thread of ours."""
    _silence_stdout()
    try:
        device = _device(pipe, user, host, port, srtp)
    except Exception as error:  # noqa: BLE001 - pjsua2 has its own error class, and may not be installed
        pipe.send(PhoneEvent(name="error", text=f"cannot start: {_reason(error)}"))
        return
    with contextlib.suppress(EOFError, OSError):
        device.run()
    device.shut_down()


def _silence_stdout() -> None:
    # pjlib greets on the descriptor itself before its log level can be set.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error)


def _device(pipe: Connection, user: str, host: str, port: int, srtp: bool) -> Any:  # noqa: ANN401 - has untyped bases
    """Make the pjsua2 side. The classes are made here since pjsua2 is optional and lives in the child only."""
    import pjsua2 as pj  # noqa: PLC0415 - see above

    class Player(pj.AudioMediaPlayer):  # type: ignore[misc]  # pjsua2 has no types
        def onEof2(self) -> None:  # noqa: N802 - pjsua2's name
            device.has_played = True

    class Call(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
        def onCallState(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
            info = self.getInfo()
            names = {
                pj.PJSIP_INV_STATE_CALLING: "calling",
                pj.PJSIP_INV_STATE_EARLY: "early",
                pj.PJSIP_INV_STATE_CONFIRMED: "confirmed",
                pj.PJSIP_INV_STATE_DISCONNECTED: "disconnected",
            }
            if info.state in names:
                device.say(names[info.state], info.lastStatusCode, info.lastReason)
            if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
                device.is_over = True

        def onCallMediaState(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
            device.connect_media()

        def onDtmfDigit(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
            device.say("digit", 0, prm.digit)

    class Account(pj.Account):  # type: ignore[misc]  # pjsua2 has no types
        def onIncomingCall(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
            device.take(Call(self, prm.callId))

    class Device:
        """The phone inside its process."""

        def __init__(self) -> None:
            self.has_played = self.is_over = False
            self._call: Any = None
            self._player: Any = None
            self._recorder: Any = None
            self._wav: str | None = None
            self._recording: str | None = None
            self._answer: tuple[float, str | None, bool] | None = None
            self._answer_at: float | None = None
            self._reject: int | None = None
            self._endpoint = pj.Endpoint()
            self._account: Any = None

        def start(self) -> None:
            endpoint, config = self._endpoint, pj.EpConfig()
            endpoint.libCreate()
            config.uaConfig.threadCnt = 0
            config.uaConfig.mainThreadOnly = True
            config.uaConfig.userAgent = "council-call-recorder phone"
            config.logConfig.level = config.logConfig.consoleLevel = 0
            config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
            config.medConfig.noVad = True
            config.medConfig.ecTailLen = 0
            endpoint.libInit(config)
            transport = pj.TransportConfig()
            transport.port, transport.boundAddress = port, host
            number = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
            endpoint.libStart()
            endpoint.audDevManager().setNullDev()
            codecs = endpoint.codecEnum2()
            for codec in codecs:
                endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMA/") else 0)
            bound = int(endpoint.transportGetInfo(number).localName.rsplit(":", 1)[1])
            account = pj.AccountConfig()
            account.idUri = f"sip:{user}@{host}:{bound}"
            account.mediaConfig.transportConfig.port = 0
            account.mediaConfig.transportConfig.boundAddress = host
            if srtp:
                account.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
                account.mediaConfig.srtpSecureSignaling = 0
                account.mediaConfig.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
            self._account = Account()
            self._account.create(account)
            self.say("started", bound)

        def say(self, name: str, code: int = 0, text: str = "") -> None:
            pipe.send(PhoneEvent(name=name, code=code, text=text))

        def run(self) -> None:
            while True:
                self._endpoint.libHandleEvents(_POLL_MS)
                self._settle()
                while pipe.poll(0):
                    command, args = pipe.recv()
                    if command == "quit":
                        return
                    try:
                        getattr(self, f"do_{command}")(*args)
                    except pj.Error as error:
                        self.say("error", 0, f"{command}: {_reason(error)}")

        def _settle(self) -> None:
            # What a callback of pjsua2 asked for but must not do itself.
            if self.has_played:
                self.has_played = False
                self.say("played")
            if self._answer_at is not None and time.monotonic() >= self._answer_at:
                self._answer_at = None
                if self._call is not None:
                    self._respond(200)
            if self.is_over:
                self.is_over = False
                self._drop()

        def _drop(self) -> None:
            # The recorder writes its header when it goes.
            self._player = self._recorder = self._call = self._answer_at = None

        def take(self, call: Any) -> None:  # noqa: ANN401 - pjsua2 has no types
            if self._call is not None or self._reject is not None or self._answer is None:
                self._refused = call
                self._respond(self._reject or 486, call)
                return
            self._call = call
            after_s, self._wav, rings = self._answer
            self.say("incoming", 0, call.getInfo().remoteUri)
            if rings:
                self._respond(180)
            self._answer_at = time.monotonic() + after_s

        def _respond(self, status: int, call: Any = None) -> None:  # noqa: ANN401 - pjsua2 has no types
            prm = pj.CallOpParam()
            prm.statusCode = status
            (call or self._call).answer(prm)

        def _media(self) -> Any:  # noqa: ANN401 - pjsua2 has no types
            if self._call is None:
                return None
            info = self._call.getInfo()  # kept: its list lives no longer than it does
            for index, medium in enumerate(info.media):
                if medium.type == pj.PJMEDIA_TYPE_AUDIO and medium.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                    return self._call.getAudioMedia(index)
            return None

        def connect_media(self) -> None:
            media = self._media()
            if media is None:
                return
            if self._wav is not None and self._player is None:
                self._player = Player()
                self._player.createPlayer(self._wav, pj.PJMEDIA_FILE_NO_LOOP)
            if self._player is not None:
                self._player.startTransmit(media)
            if self._recording is not None and self._recorder is None:
                self._recorder = pj.AudioMediaRecorder()
                self._recorder.createRecorder(self._recording)
                self._recording = None
            if self._recorder is not None:
                media.startTransmit(self._recorder)

        def do_call(self, uri: str, wav: str | None) -> None:
            self._wav = wav
            self._call = Call(self._account)
            self._call.makeCall(uri, pj.CallOpParam(True))

        def do_auto_answer(self, after_s: float, wav: str | None, rings: bool) -> None:
            self._answer, self._reject = (after_s, wav, rings), None

        def do_reject_with(self, status: int) -> None:
            self._reject = status

        def do_play(self, wav: str) -> None:
            self._player, self._wav = None, wav
            self.connect_media()

        def do_record(self, wav: str) -> None:
            self._recorder, self._recording = None, wav
            self.connect_media()

        def do_send_dtmf(self, digits: str) -> None:
            if self._call is not None:
                prm = pj.CallSendDtmfParam()
                prm.method, prm.digits, prm.duration = pj.PJSUA_DTMF_METHOD_RFC2833, digits, 160
                self._call.sendDtmf(prm)

        def do_hold(self, is_held: bool) -> None:
            if self._call is not None:
                prm = pj.CallOpParam(True)
                if is_held:
                    self._call.setHold(prm)
                else:
                    prm.opt.flag = pj.PJSUA_CALL_UNHOLD
                    self._call.reinvite(prm)

        def do_hang_up(self) -> None:
            if self._call is not None:
                self._call.hangup(pj.CallOpParam())

        def shut_down(self) -> None:
            with contextlib.suppress(pj.Error, OSError):
                self._endpoint.hangupAllCalls()
                for _ in range(20):
                    self._endpoint.libHandleEvents(_POLL_MS)
            self._drop()
            self._refused = None
            with contextlib.suppress(pj.Error, OSError):
                self._account.shutdown()
                self._account = None
                self._endpoint.libDestroy()

    device = Device()
    device.start()
    return device
