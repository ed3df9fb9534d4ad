"""`recorder phone`: a telephone in the terminal, with microphone and loudspeaker of this machine."""

import contextlib
import math
import signal
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from audio.portaudio import SoundError
from audio.sound_devices import sound_devices
from recorder.cli.context import CommandContext, LazyHomeContext
from recorder.cli.options import LoudspeakerOption, MicrophoneOption
from recorder.cli.output import fail, say
from recorder.cli.phone_address import listen_address, target_of
from recorder.cli.phone_desk import HELP, Call, Desk, DeskDevice, Settings
from recorder.cli.phone_display import shown
from recorder.cli.results.calls import PhoneCall
from recorder.cli.terminal import pressed_keys
from recorder.demo.phones.device import Say
from recorder.demo.phones.kinds import PhoneKind, available
from recorder.demo.phones.line import Line, open_line
from recorder.demo.phones.messages import PhoneError, PhoneEvent

_DEFAULT_KEYS = ("*5", "*6")
"""What `recorder init` writes."""


class Stack(StrEnum):
    """Programs that can be the phone."""

    PJSUA2 = "pjsua2"
    BUILT_IN = "built-in"


class _Device(DeskDevice, Protocol):
    port: int

    def turn(self) -> None:
        """Handle what has happened; wait at most some milliseconds for it."""

    def shut_down(self) -> None:
        """End the call and the program."""


def phone(
    context: LazyHomeContext,
    uri: Annotated[
        str | None, typer.Argument(metavar="[NUMBER@HOST[:PORT]]", help="Whom to call; without it, wait for calls.")
    ] = None,
    user: Annotated[str, typer.Option("--user", metavar="NUMBER", help="The phone's own number.")] = "phone",
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="IP[:PORT]",
            help="Where the phone listens for SIP.",
            show_default="the address towards HOST, or 127.0.0.1:5070",
        ),
    ] = "",
    play: Annotated[
        Path | None, typer.Option("--play", metavar="FILE", help="Send a sound file instead of the microphone.")
    ] = None,
    tone: Annotated[
        float | None, typer.Option("--tone", metavar="HZ", min=50, max=3800, help="Send a tone instead of it.")
    ] = None,
    record_to: Annotated[
        Path | None, typer.Option("--record-to", metavar="FILE", help="New WAV file of what is heard.")
    ] = None,
    microphone: MicrophoneOption = "",
    speaker: LoudspeakerOption = "",
    answer_after: Annotated[
        float | None, typer.Option("--answer-after", metavar="S", min=0, help="Answer calls after so many seconds.")
    ] = None,
    ring_for: Annotated[
        float, typer.Option("--ring-for", metavar="S", min=1, help="Give up a call that nobody answers.")
    ] = 60.0,
    talk_for: Annotated[
        float | None, typer.Option("--talk-for", metavar="S", min=0, help="Hang up so long after the answer.")
    ] = None,
    pause_keys: Annotated[
        str, typer.Option("--pause-keys", metavar="KEYS", show_default="as in recorder.toml, or *5")
    ] = "",
    resume_keys: Annotated[
        str, typer.Option("--resume-keys", metavar="KEYS", show_default="as in recorder.toml, or *6")
    ] = "",
    stack: Annotated[
        Stack | None, typer.Option("--stack", help="Program for the call.", show_default="pjsua2 if installed")
    ] = None,
    devices: Annotated[bool, typer.Option("--devices", help="List microphones and loudspeakers, and end.")] = False,
) -> None:
    """Make or take a call in the terminal, with microphone and loudspeaker.

    Keys: p and r send the keys that pause and resume the recording, digits and * # are sent as they are (RFC 4733), a
    answers, h hangs up, m mutes, q quits.
    """
    if devices:
        _list_devices(context)
        return
    if play is not None and tone is not None:
        fail("give --play or --tone, not both", 2)
    settings = Settings(
        **_keys(context, pause_keys, resume_keys),
        answer_after_s=answer_after,
        ring_s=ring_for,
        talk_s=math.inf if talk_for is None else talk_for,
    )
    try:
        target = None if uri is None else target_of(uri)
        host, port = listen_address(listen, target)
        line, missing = open_line(
            tone_hz=tone, play=play, record_to=record_to, microphone=microphone, speaker=speaker
        )  # fmt: skip
        with line:
            if missing:
                say(f"Nothing is heard: {missing}")
            call = _run(line, settings, target, stack=stack, user=user, address=(host, port))
    except PhoneError as error:
        fail(str(error))
    except SoundError as error:
        fail(f"{error} Without a device, give --tone HZ or --play FILE.")
    _tell(context, call)


def _tell(context: CommandContext, call: Call | None) -> None:
    if call is None:
        call = Call(uri="", is_outgoing=False, began_at=0.0)
    context.tell(
        PhoneCall(
            uri=call.uri, is_outgoing=call.is_outgoing, is_answered=call.answered_at is not None,
            duration_s=round(call.talked_s(time.monotonic()), 1), status=call.status, reason=call.reason,
        )
    )  # fmt: skip
    if call.is_outgoing and call.answered_at is None:
        fail(call.reason)


def _keys(context: CommandContext, pause_keys: str, resume_keys: str) -> dict[str, str]:
    """Return the keys: as given, as configured, or those that a new recorder has."""
    configured = _DEFAULT_KEYS
    if context.home.config.exists():
        pause = context.config.pause
        configured = pause.pause_keys, pause.resume_keys
    found = {"pause_keys": pause_keys or configured[0], "resume_keys": resume_keys or configured[1]}
    for keys in found.values():
        if set(keys) - set("0123456789*#"):
            fail(f"{keys} are no keys of a telephone: give digits, * and #", 2)
    return found


def _run(
    line: Line,
    settings: Settings,
    target: tuple[str, Any] | None,
    *,
    stack: Stack | None,
    user: str,
    address: tuple[str, int],
) -> Call | None:
    """Run the phone until it ends; return its last call.

    Raises:
        PhoneError: It cannot start or cannot call.
        SoundError: A sound device failed.
    """
    events: list[PhoneEvent] = []
    with _device(stack or _preferred(), events.append, user, line, address) as device:
        desk = Desk(device, settings, say, lambda: _toggle_mute(line))
        say(f"listening at sip:{user}@{address[0]}:{device.port}; {HELP}")
        with _ended_by_sigterm(), pressed_keys() as keys, shown(desk, line) as show:
            try:
                if target is not None:
                    desk.dial(target[0])
                while not desk.is_over:
                    device.turn()
                    while events:
                        desk.take(events.pop(0))
                    for key in keys.read():
                        desk.press(key)
                    desk.tick()
                    show()
                    if line.problem is not None:
                        raise line.problem
            except KeyboardInterrupt:
                desk.quit()
        return desk.call


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the phone as Ctrl-C does, so that the other side is not left in the call."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _toggle_mute(line: Line) -> bool:
    line.is_muted = not line.is_muted
    return line.is_muted


def _preferred() -> Stack:
    return Stack.PJSUA2 if PhoneKind.PJSUA2 in available() else Stack.BUILT_IN


@contextlib.contextmanager
def _device(stack: Stack, report: Say, user: str, line: Line, address: tuple[str, int]) -> Iterator[_Device]:
    """Start the phone, and end it after the block."""
    host, port = address
    device: _Device
    if stack is Stack.PJSUA2:
        if PhoneKind.PJSUA2 not in available():
            raise PhoneError(
                "pjsua2 is not installed: leave out --stack, or pip install 'council-call-recorder[phones]'"
            )
        from recorder.demo.phones.pjsua2_desk import Pjsua2Desk  # noqa: PLC0415 - it may not be installed

        device = Pjsua2Desk(report, user, line, srtp=False, host=host, port=port)
    else:
        from recorder.demo.phones.builtin_desk import BuiltinDesk  # noqa: PLC0415 - only one of both is used

        device = BuiltinDesk(report, user, line, host=host, port=port)
    try:
        yield device
    finally:
        device.shut_down()


def _list_devices(context: CommandContext) -> None:
    rows = [
        {
            "name": one.name, "microphone": one.inputs > 0, "loudspeaker": one.outputs > 0,
            "is_default": one.is_default_input or one.is_default_output,
        }
        for one in sound_devices()
    ]  # fmt: skip
    columns = [
        ("name", "Device"),
        ("microphone", "Microphone"),
        ("loudspeaker", "Loudspeaker"),
        ("is_default", "Default"),
    ]
    context.print_rows(rows, columns, empty="this machine has no sound device")
