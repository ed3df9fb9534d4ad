"""A baresip process: its configuration, ports, start, end, and control connection.

baresip's module ctrl_tcp takes commands and sends events as JSON in netstrings over TCP. Written for baresip 1.0.0
(Debian 12) and 1.1.0 (Debian 13).

baresip has no sound card here: its audio goes through two named pipes (`baresip_audio`).
"""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recorder.demo.phones.messages import RATE, PhoneError

HOST = "127.0.0.1"

_TRIES = 10
_START_S = 10.0
_ANSWER_S = 10.0
_END_S = 3.0
_POLL_S = 0.01
_LONGEST_MESSAGE = 1 << 20

_CONFIG = """\
module_path {modules}
module g711.so
module alsa.so
module srtp.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
sip_listen {host}:{sip}
ctrl_tcp_listen {host}:{control}
net_interface {host}
rtp_ports 33000-60000
audio_path .
audio_source alsa,mouth
audio_player alsa,ear
audio_alert alsa,ear
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
audio_buffer 500-4000
jitter_buffer_type off
jitter_buffer_delay 0-0
call_max_calls 1
ringback_disabled yes
statmode_default off
"""
_SOUND = """\
pcm.null {{ type null }}
pcm.ear {{ type file slave.pcm "null" file "{folder}/ear" format "raw" }}
pcm.mouth {{ type file slave.pcm "null" file "/dev/null" infile "{folder}/mouth" format "raw" }}
"""


class NetstringError(ValueError):
    """The data is not a netstring."""


class NetstringReader:
    """Parses netstrings (``5:hello,``) from a stream of bytes. Pure."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes and return the netstrings that are complete.

        Raises:
            NetstringError: The stream is broken; nothing more can be read from it.
        """
        self._waiting += data
        complete: list[bytes] = []
        while True:
            head, colon, rest = self._waiting.partition(b":")
            if not colon:
                if self._waiting and not (head.isdigit() and len(head) < 8):
                    raise NetstringError(f"no length: {head[:20]!r}")
                return complete
            if not head.isdigit() or int(head) > _LONGEST_MESSAGE:
                raise NetstringError(f"no length: {head[:20]!r}")
            length = int(head)
            if len(rest) <= length:
                return complete
            if rest[length : length + 1] != b",":
                raise NetstringError("no comma at the end")
            complete.append(rest[:length])
            self._waiting = rest[length + 1 :]


def netstring(data: bytes) -> bytes:
    """Return data as a netstring."""
    return b"%d:%s," % (len(data), data)


class _PortTakenError(Exception):
    """Another program took a port after it was chosen and before baresip bound it."""


class Baresip:
    """A running baresip. Not for several threads."""

    def __init__(self, folder: Path, user: str, meanwhile: Callable[[], None], *, srtp: bool) -> None:
        """Start baresip on free ports of 127.0.0.1 and connect to it.

        Args:
            folder: Its folder, with the pipes ``mouth`` and ``ear``, for configuration and log.
            user: User part of its address.
            meanwhile: Called repeatedly while waiting for baresip. It must serve the pipes, because baresip waits for
                them.
            srtp: Whether calls are encrypted with keys in SDP, or else refused.

        Raises:
            PhoneError: baresip is not installed or does not start.
        """
        program = shutil.which("baresip")
        if program is None:
            raise PhoneError("baresip is not installed: install the Debian package baresip-core")
        self._program, self._folder, self._meanwhile = program, folder, meanwhile
        self._user, self._srtp = user, srtp
        self._log = folder / "baresip.log"
        self._reader = NetstringReader()
        self._messages: list[dict[str, Any]] = []
        self._token = 0
        for _ in range(_TRIES):
            with contextlib.suppress(_PortTakenError):
                self.port, control = _free_ports()
                self._process = self._start(control)
                break
        else:
            raise PhoneError(f"no free port for baresip in {_TRIES} tries")
        self._socket = socket.create_connection((HOST, control), timeout=_ANSWER_S)

    def _start(self, control: int) -> "subprocess.Popen[bytes]":
        account = f"<sip:{self._user}@{HOST}:{self.port}>;regint=0;audio_codecs=PCMA;answermode=manual"
        (self._folder / "accounts").write_text(account + (";mediaenc=srtp-mand\n" if self._srtp else "\n"))
        modules = Path(self._program).resolve().parent.parent / "lib/baresip/modules"
        (self._folder / "config").write_text(
            _CONFIG.format(modules=modules, host=HOST, sip=self.port, control=control, rate=RATE)
        )
        sound = self._folder / "asound.conf"
        sound.write_text(_SOUND.format(folder=self._folder))
        # It dies with this process, however that ends, and leaves no core file.
        command = ["setpriv", "--pdeathsig", "KILL", "prlimit", "--core=0", self._program, "-f", str(self._folder)]
        with self._log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - a program that the operator installed
                command,
                cwd=self._folder,
                env={**os.environ, "ALSA_CONFIG_PATH": str(sound)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_ready(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _wait_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            has_ended = process.poll() is not None
            log = self._log.read_text(errors="replace")
            if "Address already in use" in log:
                raise _PortTakenError
            if "baresip is ready." in log:
                return
            if has_ended:
                raise PhoneError(f"baresip ended at its start: {' / '.join(log.splitlines()[-3:])}")
            time.sleep(_POLL_S)
        raise PhoneError(f"baresip was not ready within {_START_S:g} s")

    def request(self, command: str, parameters: str = "") -> tuple[bool, str]:
        """Have baresip carry out a command; events that arrive meanwhile are kept for `messages`.

        Returns:
            Whether baresip reports success, and its output.

        Raises:
            PhoneError: baresip does not answer or has ended.
        """
        self._token += 1
        message = {"command": command, "params": parameters, "token": str(self._token)}
        if not parameters:
            del message["params"]
        self._socket.sendall(netstring(json.dumps(message).encode()))
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            for index, come in enumerate(self._messages):
                if come.get("response") and come.get("token") == str(self._token):
                    del self._messages[index]
                    return bool(come.get("ok")), str(come.get("data", ""))
            self._receive(_POLL_S)
            self._meanwhile()
        raise PhoneError(f"baresip did not answer {command} within {_ANSWER_S:g} s")

    def messages(self, timeout_s: float) -> list[dict[str, Any]]:
        """Return the events that have arrived; wait at most ``timeout_s`` for the first.

        Raises:
            PhoneError: baresip has ended.
        """
        if not self._messages:
            self._receive(timeout_s)
        messages, self._messages = self._messages, []
        return messages

    def _receive(self, timeout_s: float) -> None:
        if not select.select([self._socket], [], [], timeout_s)[0]:
            return
        data = self._socket.recv(1 << 16)
        if not data:
            raise PhoneError("baresip has ended")
        self._messages += [json.loads(message) for message in self._reader.feed(data)]

    def stop(self) -> None:
        """Ask baresip to end, which sends BYE in a call; kill it if it does not."""
        self._process.terminate()
        deadline = time.monotonic() + _END_S
        while self._process.poll() is None and time.monotonic() < deadline:
            self._meanwhile()
            time.sleep(_POLL_S)
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _free_ports() -> tuple[int, int]:
    """Return a SIP port and a control port that are free now.

    baresip listens for SIP on UDP and TCP, and for TLS on the next port.
    """
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            sip = _bind(stack, socket.SOCK_DGRAM, 0)
            _bind(stack, socket.SOCK_STREAM, sip)
            _bind(stack, socket.SOCK_STREAM, sip + 1)
            return sip, _bind(stack, socket.SOCK_STREAM, 0)


def _bind(stack: contextlib.ExitStack, kind: socket.SocketKind, port: int) -> int:
    probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
    probe.bind((HOST, port))
    return int(probe.getsockname()[1])
