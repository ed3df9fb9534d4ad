"""The phone's process: runs one program as a phone, carries out commands and reports events over a pipe."""

import contextlib
import os
from multiprocessing.connection import Connection
from pathlib import Path

from recorder.demo.phones.device import Device, Say
from recorder.demo.phones.kinds import PhoneKind
from recorder.demo.phones.messages import Command, CommandDone, PhoneError, PhoneEvent


def serve(pipe: Connection, kind: PhoneKind, user: str, srtp: bool, folder: Path) -> None:
    """Run a phone until told to quit or the parent ends.

    Runs on the main thread of a process of its own; the built-in phone, which cannot abort, on a thread.

    Args:
        pipe: Connection to the parent, which sends `Command` and receives `PhoneEvent` and `CommandDone`.
        kind: The program.
        user: User part of the phone's address.
        srtp: Whether calls are encrypted, or else refused.
        folder: The phone's folder; the parent removes it.
    """
    if kind is not PhoneKind.BUILT_IN:
        _silence_stdout()
    try:
        device = _device(kind, pipe.send, user, srtp, folder)
    except Exception as error:  # noqa: BLE001 - each program has errors of its own, and may not be installed
        pipe.send(PhoneEvent(name="error", text=f"{kind} cannot start: {_reason(error)}"))
        return
    try:
        pipe.send(PhoneEvent(name="started", code=device.port))
        with contextlib.suppress(EOFError, OSError):  # the parent is gone
            _run(pipe, device)
    except PhoneError as error:  # the program has ended
        pipe.send(PhoneEvent(name="error", text=str(error)))
    finally:
        device.shut_down()
        pipe.close()


def _run(pipe: Connection, device: Device) -> None:
    while True:
        device.turn()
        while pipe.poll(0):
            command: Command = pipe.recv()
            if command.name == "quit":
                return
            pipe.send(CommandDone(number=command.number, error=_carry_out(device, command)))


def _carry_out(device: Device, command: Command) -> str:
    """Carry a command out; return why it could not be, or ""."""
    try:
        getattr(device, f"do_{command.name}")(*command.arguments)
    except Exception as error:  # noqa: BLE001 - each program has errors of its own; the parent raises it
        return _reason(error) or type(error).__name__
    return ""


def _device(kind: PhoneKind, say: Say, user: str, srtp: bool, folder: Path) -> Device:
    # Imported only on demand, because pjsua2 may not be installed.
    if kind is PhoneKind.PJSUA2:
        from recorder.demo.phones.pjsua2_device import Pjsua2Device  # noqa: PLC0415

        return Pjsua2Device(say, user, srtp=srtp)
    if kind is PhoneKind.BUILT_IN:
        from recorder.demo.phones.builtin_device import BuiltinDevice  # noqa: PLC0415

        return BuiltinDevice(say, user, srtp=srtp)
    from recorder.demo.phones.baresip_device import BaresipDevice  # noqa: PLC0415

    return BaresipDevice(say, user, folder, srtp=srtp)


def _silence_stdout() -> None:
    # pjlib writes to descriptor 1 before its log level can be set.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error)
