"""pjsua2 as a phone.

pjsua2 needs all its objects on one thread, and aborts its process on an assertion. So it is imported in the phone's
process only, which has one thread.
"""

import contextlib
import ctypes
import re
import time
from pathlib import Path
from typing import Any

import pjsua2 as pj

from recorder.demo.phones.device import Say
from recorder.demo.phones.messages import RATE, PhoneError, PhoneEvent

_POLL_MS = 10
_HOST = "127.0.0.1"
Buffers = tuple[int, int]
"""Usual and longest delay of received audio, ms."""
_STEADY: Buffers = (500, 4000)
"""What a busy machine needs so that the received audio has no gaps."""
_FINISH_S = 3.0
_DISCARD_NONE = 0
"""PJMEDIA_JB_DISCARD_NONE."""
_DIGIT_MS = 160
_DIGIT_EVERY_S = 0.3
"""Interval between digits. pjsua2 leaves no pause between them, and then baresip 1.x reports only the first."""


class _Player(pj.AudioMediaPlayer):  # type: ignore[misc]  # pjsua2 has no types
    def __init__(self, device: "Pjsua2Device") -> None:
        super().__init__()
        self._device = device

    def onEof2(self) -> None:  # noqa: N802 - pjsua2's name
        self._device.has_played = True


class _Call(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    def __init__(self, device: "Pjsua2Device", account: Any, *identity: int) -> None:  # noqa: ANN401
        super().__init__(account, *identity)
        self._device = device
        self.is_refused = False

    def onCallState(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
        if not self.is_refused:
            info = self.getInfo()
            self._device.see_state(info.state, int(info.lastStatusCode), str(info.lastReason))

    def onCallMediaState(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
        self._device.connect_media()

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
        self._device.say("digit", text=str(prm.digit))


class _Account(pj.Account):  # type: ignore[misc]  # pjsua2 has no types
    def __init__(self, device: "Pjsua2Device") -> None:
        super().__init__()
        self._device = device

    def onIncomingCall(self, prm: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
        self._device.take(_Call(self._device, self, prm.callId))


class Pjsua2Device:
    """pjsua2 as a phone; see `device.Device`."""

    def __init__(
        self, report: Say, user: str, *, srtp: bool, host: str = _HOST, port: int = 0, buffers: Buffers = _STEADY
    ) -> None:
        """Start pjsua2 and listen.

        Args:
            report: Reports an event.
            user: User part of its address.
            srtp: Whether calls are encrypted with keys in SDP, or else refused.
            host: Local address.
            port: Local port; 0 for a free one.
            buffers: Sizes of the buffer for received audio.
        """
        self._report = report
        self.has_played = False
        self._ended: tuple[int, str] | None = None
        self._is_up = False
        self._call: Any = None
        self._refused: Any = None
        self._player: Any = None
        self._recorder: Any = None
        self._wav: str | None = None
        self._recording: str | None = None
        self._unfinished: list[Path] = []
        self._give_up_at = 0.0
        self._answer: tuple[float, str | None] | None = None
        self._answer_at: float | None = None
        self._digits = ""
        self._next_digit_at = 0.0
        self._endpoint = pj.Endpoint()
        self.port = _start(self._endpoint, host, port, buffers)
        self._account: Any = _Account(self)
        self._account.create(_account_config(user, host, self.port, srtp=srtp))

    def say(self, name: str, code: int = 0, text: str = "") -> None:
        """Report an event."""
        self._report(PhoneEvent(name=name, code=code, text=text))

    def turn(self) -> None:
        """Handle pjsua2's events, and acts that its callbacks requested but must not do themselves."""
        self._endpoint.libHandleEvents(_POLL_MS)
        if self.has_played:
            self.has_played = False
            self.say("played")
        if self._answer_at is not None and time.monotonic() >= self._answer_at:
            self._answer_at = None
            _respond(self._call, 200)
        if self._digits and time.monotonic() >= self._next_digit_at:
            self._press(self._digits[0])
            self._digits, self._next_digit_at = self._digits[1:], time.monotonic() + _DIGIT_EVERY_S
        if self._ended is not None:
            self._drop()
            if self._is_finished():
                (code, reason), self._ended = self._ended, None
                self.say("disconnected", code, reason)

    def _is_finished(self) -> bool:
        """Whether the recordings are complete; the media thread closes them some time after they were released."""
        if time.monotonic() < self._give_up_at:
            self._unfinished = [wav for wav in self._unfinished if not _is_complete(wav)]
        else:
            self._unfinished = []
        return not self._unfinished

    def _drop(self) -> None:
        self._player = self._recorder = self._call = self._answer_at = None
        self._is_up, self.has_played, self._digits = False, False, ""

    def see_state(self, state: int, code: int, reason: str) -> None:
        """Report a new state of the call."""
        names = {
            pj.PJSIP_INV_STATE_CALLING: "calling",
            pj.PJSIP_INV_STATE_EARLY: "early",
            pj.PJSIP_INV_STATE_CONFIRMED: "confirmed",
        }
        if state in names:
            self.say(names[state], code, reason)
        if state == pj.PJSIP_INV_STATE_CONFIRMED:
            self._is_up = True
        if state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._is_up, self._answer_at, self._digits = False, None, ""
            self._ended, self._give_up_at = (code, reason), time.monotonic() + _FINISH_S

    def take(self, call: Any) -> None:  # noqa: ANN401 - pjsua2 has no types
        """Ring, or refuse an incoming call."""
        if self._call is not None or self._ended is not None or self._answer is None:
            self._refused = call
            call.is_refused = True
            caller = _uri(call.getInfo().remoteUri)
            _respond(call, 486)
            if self._call is None and self._ended is None:
                self.say("refused", 486, caller)
            return
        self._call = call
        after_s, self._wav = self._answer
        self.say("incoming", text=_uri(call.getInfo().remoteUri))
        _respond(call, 180)
        self._answer_at = time.monotonic() + after_s

    def _media(self) -> Any:  # noqa: ANN401 - pjsua2 has no types
        if self._call is None:
            return None
        info = self._call.getInfo()  # kept alive, because it owns the list
        for index, medium in enumerate(info.media):
            if medium.type == pj.PJMEDIA_TYPE_AUDIO and medium.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                return self._call.getAudioMedia(index)
        return None

    def connect_media(self) -> None:
        """Connect player and recorder to the call's media, once there is some."""
        media = self._media()
        if media is None:
            return
        if self._wav is not None and self._player is None:
            self._player = _Player(self)
            self._player.createPlayer(self._wav, pj.PJMEDIA_FILE_NO_LOOP)
        if self._player is not None:
            self._player.startTransmit(media)
        if self._recording is not None and self._recorder is None:
            self._recorder = pj.AudioMediaRecorder()
            self._recorder.createRecorder(self._recording)
            self._unfinished.append(Path(self._recording))
            self._recording = None
        if self._recorder is not None:
            media.startTransmit(self._recorder)

    def do_call(self, uri: str, wav: str | None) -> None:
        """Call a URI."""
        if self._call is not None or self._ended is not None:
            raise PhoneError("there is a call already")
        self._wav = wav
        self._call = _Call(self, self._account)
        try:
            self._call.makeCall(uri, pj.CallOpParam(True))
        except pj.Error:
            self._drop()
            raise

    def do_auto_answer(self, after_s: float, wav: str | None) -> None:
        """Answer incoming calls."""
        self._answer = after_s, wav

    def do_reject(self) -> None:
        """Refuse incoming calls."""
        self._answer = None

    def do_play(self, wav: str) -> None:
        """Send a WAV in the call."""
        if self._call is None:
            raise PhoneError("there is no call")
        self._player, self._wav = None, wav
        self.has_played = False
        self.connect_media()

    def do_record(self, wav: str) -> None:
        """Record received audio."""
        self._recorder, self._recording = None, wav
        self.connect_media()

    def do_send_dtmf(self, digits: str) -> None:
        """Send RFC 4733 events."""
        self._answered()
        self._digits += digits

    def _press(self, digit: str) -> None:
        prm = pj.CallSendDtmfParam()
        prm.method, prm.digits, prm.duration = pj.PJSUA_DTMF_METHOD_RFC2833, digit, _DIGIT_MS
        self._call.sendDtmf(prm)

    def do_hold(self, is_held: bool) -> None:
        """Hold the far side, or take it off hold."""
        prm = pj.CallOpParam(True)
        if is_held:
            self._answered().setHold(prm)
        else:
            prm.opt.flag = pj.PJSUA_CALL_UNHOLD
            self._answered().reinvite(prm)

    def do_hang_up(self) -> None:
        """End the call, if there is one."""
        if self._call is not None and self._ended is None:
            self._call.hangup(pj.CallOpParam())

    def _answered(self) -> Any:  # noqa: ANN401 - pjsua2 has no types
        if not self._is_up:
            raise PhoneError("there is no answered call")
        return self._call

    def shut_down(self) -> None:
        """End the call, finish the recording and end pjsua2."""
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


def _start(endpoint: Any, host: str, port: int, buffers: Buffers) -> int:  # noqa: ANN401 - pjsua2 has no types
    config = pj.EpConfig()
    endpoint.libCreate()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.userAgent = "council-call-recorder phone"
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.medConfig.clockRate = config.medConfig.sndClockRate = RATE
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    config.medConfig.jbInit = config.medConfig.jbMinPre = config.medConfig.jbMaxPre = buffers[0]
    config.medConfig.jbMax = buffers[1]
    _keep_all_frames(config.medConfig)
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.port, transport.boundAddress = port, host
    number = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    codecs = endpoint.codecEnum2()
    for codec in codecs:
        endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMA/") else 0)
    return int(endpoint.transportGetInfo(number).localName.rsplit(":", 1)[1])


def _is_complete(wav: Path) -> bool:
    """Whether the header of a WAV has the file's length, which is written last."""
    with wav.open("rb") as file:
        return int.from_bytes(file.read(8)[4:], "little") == wav.stat().st_size - 8


def _keep_all_frames(config: Any) -> None:  # noqa: ANN401 - pjsua2 has no types
    """Stop the jitter buffer from discarding frames to get shorter, which would be heard as a gap.

    The binding cannot set this value: it wraps the enumeration as a pointer, so the number is written to its target.
    """
    algorithm = config.jbDiscardAlgo
    ctypes.c_int.from_address(int(algorithm)).value = _DISCARD_NONE
    config.jbDiscardAlgo = algorithm


def _account_config(user: str, host: str, port: int, *, srtp: bool) -> Any:  # noqa: ANN401 - pjsua2 has no types
    config = pj.AccountConfig()
    config.idUri = f"sip:{user}@{host}:{port}"
    config.mediaConfig.transportConfig.port = 0
    config.mediaConfig.transportConfig.boundAddress = host
    if srtp:
        config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
        config.mediaConfig.srtpSecureSignaling = 0
        config.mediaConfig.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    return config


def _respond(call: Any, status: int) -> None:  # noqa: ANN401 - pjsua2 has no types
    prm = pj.CallOpParam()
    prm.statusCode = status
    call.answer(prm)


def _uri(address: str) -> str:
    """Return the URI of an address, which may have a display name and angle brackets."""
    found = re.search(r"<([^>]*)>", address)
    return found[1] if found else address
