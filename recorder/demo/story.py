"""`make demo`: two independent phones hold a spoken conversation through a real recorder, and the result is checked.

A caller calls extension 2001, hears the notice, and talks to an officer, who presses the pause key while the caller
says a made-up card number. Every claim at the end is measured on the result.
"""

import json
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import soundfile
import soxr
from rich.console import Console

from audio.prompts import PromptError, speak
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.config.config_file import Answers
from recorder.config.reading import read_config
from recorder.control.client import LiveClient
from recorder.demo.checks import RATE, DemoClaim, claims, draw
from recorder.demo.phones.kinds import PhoneKind, choose
from recorder.demo.phones.messages import PhoneError
from recorder.demo.phones.phone import Phone
from recorder.recordings.home_stores import open_index, open_reader
from recorder.rules.policy import Extension
from recorder.service.new_home import make_home
from recorder.service.processes import NotReadyError, start, stop, wait_ready
from sip.options import Address
from storage.encoding import CopyFormat
from storage.errors import StorageError
from storage.export import export
from storage.rows import row_to_json
from storage.types import RecordingRow, Search

CALLER_SAYS = (
    "Hello, this is Pat Morgan of fourteen Mill Lane. I would like to pay the rest of my council tax by card, please. "
    "I think it is one hundred and twelve pounds."
)
OFFICER_SAYS = (
    "Good morning, you are through to Revenues, my name is Alice. Thank you, I have found your account. "
    "I will stop the recording now while you read me your card."
)
CARD_SAYS = "The number is four nine two nine, zero zero one two, three four five six, seven eight nine one."
CALLER_AFTER = "That is all, thank you very much for your help. Goodbye."
OFFICER_AFTER = "The payment went through and the recording is on again. Is there anything else? Goodbye then."


class DemoError(Exception):
    """The demo failed, or one of its claims is not true; the message is a sentence."""


class Story:
    """Prints what happens, as it happens."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()

    def tell(self, sentence: str) -> None:
        """Print a line with the seconds since the beginning."""
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/dim]  {sentence}", soft_wrap=True)


def show(output: Path, *, once: bool, phone: PhoneKind | None = None) -> None:
    """Run the demo, write copy and picture, check every claim.

    Args:
        output: Folder for copy and picture.
        once: Whether to leave out the hint where to look at them.
        phone: The phone program; None takes pjsua2 if installed, else baresip.

    Raises:
        DemoError: Something that the demo needs is missing, or a claim is not true.
    """
    story = Story()
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recorder-demo-")))
        try:
            row = _hold(folder, output, choose(phone), story, stack)
        except (PhoneError, PromptError, StorageError, NotReadyError) as error:
            raise DemoError(str(error)) from error
    if not once:
        story.tell(f"look at {output}/recording.png, listen to {output}/recording.wav")
    print_last(row)


def print_last(row: RecordingRow) -> None:
    """Print the recording's JSON as the last line."""
    Console(highlight=False, soft_wrap=True, markup=False).print(json.dumps(row_to_json(row)))


def _hold(folder: Path, output: Path, kind: PhoneKind, story: Story, stack: ExitStack) -> RecordingRow:
    story.tell(f"the phones are [bold]{kind}[/bold]")
    sounds = _speak_all(folder, story)
    officer = stack.enter_context(Phone("2001", kind=kind))
    caller = stack.enter_context(Phone("01632960123", kind=kind))
    home = _make(folder / "home", officer.port)
    stack.enter_context(_running(home, story))
    heard = _converse(home, caller, officer, sounds, story)
    row = _wait_for_row(home)
    story.tell(
        f"recording [bold]{row.id}[/bold]: {row.outcome}, {row.recorded_s:.1f} s kept, {row.paused_s:.1f} s paused"
    )
    for segment in row.segments:
        why = f" ({segment.reason}, by {segment.by})" if segment.reason else ""
        story.tell(f"  {segment.start_s:7.2f} to {segment.end_s:7.2f} s  {segment.kind}{why}")
    copy = _copy(home, row, output, story)
    _check(claims(row, copy, heard, sounds), story)
    draw(row, copy, output / "recording.png")
    story.tell(f"picture: {output}/recording.png")
    return row


# --- before the call


def _speak_all(folder: Path, story: Story) -> dict[str, Path]:
    story.tell("espeak-ng speaks both parts")
    texts = {
        "caller": (CALLER_SAYS, "en-gb+m3"),
        "officer": (OFFICER_SAYS, "en-gb+f3"),
        "card": (CARD_SAYS, "en-gb+m3"),
        "caller_after": (CALLER_AFTER, "en-gb+m3"),
        "officer_after": (OFFICER_AFTER, "en-gb+f3"),
    }
    paths = {}
    for name, (text, voice) in texts.items():
        paths[name] = folder / f"{name}.wav"
        speak(text, voice, paths[name])
        samples, rate = soundfile.read(paths[name], dtype="float64")
        soundfile.write(paths[name], soxr.resample(samples, rate, RATE), RATE, subtype="PCM_16")
    return paths


def _make(folder: Path, officer_port: int) -> Home:
    home = Home(folder)
    first_port = _free_ports()
    answers = Answers(
        site="Wold Borough Council",
        timezone="Europe/London",
        sip=Address(host="127.0.0.1", port=_free_port(socket.SOCK_DGRAM)),
        next_hop=Address(host="127.0.0.1", port=officer_port),
        extensions=(Extension(number="2001", operator="alice", service="Revenues", team="Revenues"),),
        media_ports=(first_port, first_port + 99),
        console=Address(host="127.0.0.1", port=_free_port(socket.SOCK_STREAM)),
        admin="founder",
        decided_by="the demo",
    )
    make_home(home, answers, "a long password for the demo", os_user=os_user())
    text = home.config.read_text().replace("max_calls = 1000", "max_calls = 20")
    text = text.replace('second_factor = "required"', 'second_factor = "off"')  # nobody has a phone for it
    home.config.write_text(text)
    return home


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _free_ports() -> int:
    """Return the first of a hundred ports that are likely free, below those that the system assigns."""
    return 20000 + 2 * (_free_port(socket.SOCK_DGRAM) % 4000)


@contextmanager
def _running(home: Home, story: Story) -> Iterator[None]:
    children = [start(home, command, log=home.log) for command in ("run", "console")]
    try:
        wait_ready(home, children[0], within_s=60)  # long enough for a busy machine
        config = read_config(home.config)
        story.tell(f"recorder listens for SIP on {config.sip.listen}, its console is http://{config.console.listen}")
        yield
    finally:
        for child in children:
            stop(child)


# --- the call


def _converse(home: Home, caller: Phone, officer: Phone, sounds: dict[str, Path], story: Story) -> Path:
    """Hold the conversation; return the audio that the caller's phone heard."""
    config = read_config(home.config)
    heard = sounds["caller"].with_name("heard-by-caller.wav")
    officer.auto_answer(1.0)
    story.tell("the caller dials extension 2001")
    caller.record(heard)
    caller.call(f"sip:2001@{config.sip.listen}")
    caller.wait_for("confirmed", timeout_s=10)
    story.tell("the recorder answers and plays the notice")
    officer.wait_for("incoming", timeout_s=60)
    story.tell("the notice is over: the officer's phone rings")
    officer.wait_for("confirmed", timeout_s=20)
    story.tell("the officer answers; both are joined, recording is on")
    _say(officer, sounds["officer"], after_s=0.3)
    _say(caller, sounds["caller"])
    time.sleep(1.0)
    story.tell(f"the officer presses [bold]{config.pause.pause_keys}[/bold]: recording is paused")
    officer.send_dtmf(config.pause.pause_keys)
    _wait_state(home, "paused")
    story.tell("the caller reads out a card number")
    _say(caller, sounds["card"])
    story.tell(f"the officer presses [bold]{config.pause.resume_keys}[/bold]: recording goes on")
    officer.send_dtmf(config.pause.resume_keys)
    _wait_state(home, "recording")
    time.sleep(0.5)
    _say(officer, sounds["officer_after"])
    _say(caller, sounds["caller_after"])
    time.sleep(0.5)
    caller.hang_up()
    for phone in (officer, caller):
        phone.wait_for("disconnected", timeout_s=10)
    story.tell("the caller hangs up")
    return heard


def _say(phone: Phone, sound: Path, *, after_s: float = 0.0) -> None:
    time.sleep(after_s)
    phone.play(sound)
    phone.wait_for("played", timeout_s=soundfile.info(sound).duration + 10)
    time.sleep(0.2)


def _wait_state(home: Home, state: str) -> None:
    deadline = time.monotonic() + 5
    with LiveClient(home.socket) as client:
        while time.monotonic() < deadline:
            calls = client.calls()
            if calls and calls[0]["state"] == state:
                return
            time.sleep(0.05)
    raise DemoError(f"the recording did not become {state} within 5 s; see {home.log}")


def _wait_for_row(home: Home) -> RecordingRow:
    deadline = time.monotonic() + 15
    index = open_index(home, read_config(home.config))
    try:
        while time.monotonic() < deadline:
            rows = index.find(Search(limit=1))
            if rows:
                return rows[0]
            time.sleep(0.1)
    finally:
        index.close()
    raise DemoError(f"the recording was not filed within 15 s; see {home.log}")


# --- after the call


def _copy(home: Home, row: RecordingRow, output: Path, story: Story) -> Path:
    target = output / "recording.wav"
    target.unlink(missing_ok=True)
    reader = open_reader(home, read_config(home.config), row)
    copy = export(reader, target, CopyFormat.WAV, duration_s=row.duration_s)
    story.tell(f"stereo copy: {target}, {copy.duration_s:.1f} s, caller left, officer right")
    return target


def _check(measured: list[DemoClaim], story: Story) -> None:
    """Print every claim with its result.

    Raises:
        DemoError: A claim is not true.
    """
    for claim in measured:
        story.tell(f"{'[green]true [/green]' if claim.is_true else '[red]FALSE[/red]'} {claim.sentence}")
    wrong = [claim.sentence for claim in measured if not claim.is_true]
    if wrong:
        raise DemoError("not true: " + "; ".join(wrong))
