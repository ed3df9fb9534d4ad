"""A telephone of the hand check: pjsua2 in a process of its own, told what to do by lines of JSON.

`Telephone` is the check's end of it. pjsua2 wants all its objects on one thread and aborts its process on an
assertion, so it is imported in the telephone's process only. Unlike the demo's telephones this one registers, has
several calls at a time, transfers, and refuses with a status that the check chooses.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

RATE = 8000
ANSWERS_S = 20.0


class TelephoneError(Exception):
    """Something did not happen at a telephone in time; a sentence."""


class Telephone:
    """The check's end of a telephone.

    Attributes:
        name: What it is called in the log of the check.
        calls: State of each of its calls, by the telephone's own number for it: ``incoming``, ``early``,
            ``confirmed`` or ``ended``.
    """

    def __init__(self, name: str, folder: Path, address: str, **account: Any) -> None:
        self.name = name
        self.heard = folder / f"{name}.heard.wav"
        self.calls: dict[int, str] = {}
        self.codes: dict[int, int] = {}
        self.is_registered = False
        self._log = (folder / f"{name}.log").open("ab")
        words = {"address": address, "heard": str(self.heard), "folder": str(folder), **account}
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()
        self._log.close()

    def do(self, what: str, **words: Any) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **words}).encode() + b"\n")
        self._process.stdin.flush()

    def read(self, timeout_s: float = 0.0) -> None:
        """Take in what the telephone has said."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        while select.select([fd], [], [], timeout_s)[0]:
            got = os.read(fd, 65536)
            if not got:
                raise TelephoneError(f"{self.name} is gone")
            *lines, self._unread = (self._unread + got).split(b"\n")
            for line in lines:
                self._see(json.loads(line))
            timeout_s = 0.0

    def _see(self, event: dict[str, Any]) -> None:
        if event["event"] == "registered":
            self.is_registered = event["code"] == 200
        else:
            self.calls[event["call"]] = event["event"]
            self.codes[event["call"]] = event["code"]

    def wait(self, what: str, is_so: Callable[[Self], object], timeout_s: float = ANSWERS_S) -> None:
        """Wait until something is so.

        Raises:
            TelephoneError: It is not so in time.
        """
        until = time.monotonic() + timeout_s
        while not is_so(self):
            if time.monotonic() > until:
                raise TelephoneError(f"{self.name}: {what}: not within {timeout_s:g} s; its calls: {self.calls}")
            self.read(0.1)

    def newest(self, state: str) -> int | None:
        """Return its newest call in a state."""
        self.read()
        return max((call for call, has in self.calls.items() if has == state), default=None)

    def wait_newest(self, state: str, timeout_s: float = ANSWERS_S) -> int:
        """Wait for a call in a state and return the newest."""
        self.wait(f"a call is {state}", lambda phone: phone.newest(state) is not None, timeout_s)
        found = self.newest(state)
        assert found is not None
        return found

    def pick_up(self, timeout_s: float = ANSWERS_S) -> int:
        """Wait for a call and answer it."""
        call = self.wait_newest("incoming", timeout_s)
        self.do("answer", call=call, code=200)
        self.wait("the answered call is up", lambda phone: phone.calls[call] == "confirmed")
        return call

    def dial(self, uri: str) -> int:
        """Place a call and wait until it is up."""
        before = set(self.calls)
        self.do("dial", uri=uri)
        self.wait("the call was placed", lambda phone: set(phone.calls) - before)
        (call,) = set(self.calls) - before
        self.wait(f"{uri} answers", lambda phone: phone.calls[call] in ("confirmed", "ended"), 60)
        if self.calls[call] == "ended":
            raise TelephoneError(f"{self.name}: {uri} answered {self.codes[call]}")
        return call


# --- in the telephone's process


def _main(words: dict[str, Any]) -> None:
    import pjsua2 as pj  # noqa: PLC0415

    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # pjsua2 writes to standard output as it starts

    def say(event: str, call: int = -1, code: int = 0) -> None:
        events.write(json.dumps({"event": event, "call": call, "code": code}) + "\n")
        events.flush()

    class Call(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
        def __init__(self, *identity: Any) -> None:
            super().__init__(*identity)
            self.number = len(calls)
            calls.append(self)

        def onCallState(self, prm: Any) -> None:  # noqa: N802
            info = self.getInfo()
            states = {
                pj.PJSIP_INV_STATE_CALLING: "early", pj.PJSIP_INV_STATE_EARLY: "early",
                pj.PJSIP_INV_STATE_CONFIRMED: "confirmed", pj.PJSIP_INV_STATE_DISCONNECTED: "ended",
            }  # fmt: skip
            is_ringing = info.role == pj.PJSIP_ROLE_UAS and info.state == pj.PJSIP_INV_STATE_EARLY
            if info.state in states and not is_ringing:
                say(states[info.state], self.number, int(info.lastStatusCode))

        def onCallTransferStatus(self, prm: Any) -> None:  # noqa: N802
            if prm.finalNotify and prm.statusCode // 100 == 2:
                transferred.append(self)

        def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
            connect()

    class Account(pj.Account):  # type: ignore[misc]  # pjsua2 has no types
        def onRegState(self, prm: Any) -> None:  # noqa: N802
            say("registered", code=int(prm.code))

        def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
            call = Call(self, prm.callId)
            say("incoming", call.number)
            ring = pj.CallOpParam()
            ring.statusCode = 180
            call.answer(ring)

    calls: list[Any] = []
    transferred: list[Any] = []
    player: list[Any] = []
    recorder = pj.AudioMediaRecorder()

    def media_of(call: Any) -> Any:
        if not call.isActive():
            return None
        info = call.getInfo()
        for index, medium in enumerate(info.media):
            if medium.type == pj.PJMEDIA_TYPE_AUDIO and medium.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                return call.getAudioMedia(index)
        return None

    def connect() -> None:
        for media in filter(None, map(media_of, calls)):
            for one in player:
                one.startTransmit(media)
            media.startTransmit(recorder)

    def act(
        do: str, call: int = -1, uri: str = "", code: int = 200, wav: str = "", digits: str = "", other: int = -1
    ) -> None:
        prm = pj.CallOpParam(True)
        if do == "dial":
            made = Call(account)
            made.makeCall(uri, prm)
        elif do == "answer":
            prm.statusCode = code
            if uri:
                header = pj.SipHeader()
                header.hName, header.hValue = "Contact", f"<{uri}>"
                prm.txOption.headers.append(header)
            calls[call].answer(prm)
        elif do == "say":
            player[:] = [pj.AudioMediaPlayer()]
            player[0].createPlayer(wav, 0)
            connect()
        elif do == "press":
            press = pj.CallSendDtmfParam()
            press.method, press.digits, press.duration = pj.PJSUA_DTMF_METHOD_RFC2833, digits, 160
            calls[call].sendDtmf(press)
        elif do == "hold":
            calls[call].setHold(prm)
        elif do == "transfer":
            calls[call].xfer(uri, prm)
        elif do == "replace":
            calls[call].xferReplaces(calls[other], prm)
        elif do == "hang_up":
            calls[call].hangup(prm)

    endpoint, config = pj.Endpoint(), pj.EpConfig()
    endpoint.libCreate()
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    if words.get("trace"):
        config.logConfig.level, config.logConfig.consoleLevel = 5, 0
        config.logConfig.filename = words["heard"].replace(".heard.wav", ".sip")
    config.medConfig.clockRate = config.medConfig.sndClockRate = RATE
    config.medConfig.noVad, config.medConfig.ecTailLen = True, 0
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.port, transport.boundAddress = 5060, words["address"]
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, {"PCMA/": 255, "PCMU/": 254}.get(codec.codecId[:5], 0))
    recorder.createRecorder(words["heard"])
    settings = pj.AccountConfig()
    settings.idUri = words["identity"]
    settings.mediaConfig.transportConfig.boundAddress = words["address"]
    if words.get("registrar"):
        settings.regConfig.registrarUri = words["registrar"]
        settings.regConfig.timeoutSec = 600
    if words.get("password"):
        settings.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", words["user"], 0, words["password"]))
    account = Account()
    account.create(settings)

    def commands() -> Iterator[dict[str, Any] | None]:
        unread = b""
        while True:
            if select.select([0], [], [], 0)[0]:
                got = os.read(0, 65536)
                if not got:
                    return
                *lines, unread = (unread + got).split(b"\n")
                yield from map(json.loads, lines)
            yield None

    for command in commands():
        if command is None:
            endpoint.libHandleEvents(10)
            while transferred:
                transferred.pop().hangup(pj.CallOpParam())  # as desk telephones do
            continue
        try:
            act(**command)
        except pj.Error as error:
            sys.stderr.write(f"{command}: {error.info()}\n")
            sys.stderr.flush()
    with contextlib.suppress(pj.Error):
        endpoint.hangupAllCalls()
        for _ in range(30):
            endpoint.libHandleEvents(10)
    os._exit(0)  # what pjsua2's destructors do in the wrong order is nobody's business: the recording is complete


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
