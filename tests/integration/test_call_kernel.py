"""Recorded calls whose streams the kernel relays: the same to the byte; and without the kernel where it cannot."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import audio.relay
from audio.relay import Relay
from audio.types import RelayOptions
from recorder.service.kernel_relay import open_relay
from tests.helpers import deprived_daemon
from tests.helpers.exactness import PACKET_S, heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.networks import Wires
from tests.helpers.recorder_home import RecorderHome
from tests.helpers.starvation import Starvation
from tests.helpers.voices import FRAME

pytestmark = pytest.mark.kernel_relay

DESCRIPTORS = Path("/proc/self/fd")

ERASE_S = 1.0
PAUSES = (("look_back_s = 5.0", "look_back_s = 2.5"), ("erase_s = 3.0", f"erase_s = {ERASE_S}"))


def relaying_by(name: str) -> tuple[str, str]:
    return ("kernel_interfaces = []", f'kernel_interfaces = ["{name}"]')


def relayed(home: RecorderHome) -> int:
    return int(home.health()["media"]["relayed"])


def ticks_of(starved_s: float) -> int:
    """Return how many ticks, in whole frames, may have come to a leg that was about to be tapped; 0 below 2 ms.

    The officer talks the moment the daemon's ACK comes; the daemon taps the leg as soon as it has a CPU again.
    """
    return FRAME * math.ceil(starved_s / PACKET_S) if starved_s > 0.002 else 0


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("kernel"), edits=(*PAUSES, relaying_by("lo"))) as made:
        yield made


def test_what_was_said_is_kept_and_heard_to_the_byte(lines: Exchange) -> None:
    before = relayed(lines.home)
    starvation = Starvation()
    starvation.look(lines.home.pid)
    called_s = time.monotonic()
    talk = lines.call()
    recording = talk.join()
    starvation.look(lines.home.pid)
    late = ticks_of(starvation.since(called_s))
    joined_s = time.monotonic()
    talk.talk_for(3)
    hung_up_s = time.monotonic()
    by_kernel = relayed(lines.home) - before
    row = talk.hang_up()

    assert (row["outcome"], [segment["kind"] for segment in row["segments"]]) == ("recorded", ["recording"])
    left, right, _ = lines.home.copy(recording)
    caller, officer = kept_of(left, talk.left), kept_of(right, talk.right)
    assert len(caller.spans) == len(officer.spans) == 1, "no byte is missing between the first and the last"
    assert officer.offset + officer.spans[0][0] <= late, "the officer's first word is kept"
    assert caller.spans[0][0] <= FRAME + late
    for side in (caller, officer):
        assert side.end_tick >= side.voice.tick_at(hung_up_s) + FRAME
    from_officer, from_caller = (
        heard_frames(talk.left, talk.right),
        heard_frames(talk.right, talk.left, since_s=joined_s),
    )
    assert is_gapless(from_officer)
    assert is_gapless(from_caller)
    assert from_officer[0] <= late, "the officer's first word arrives"
    assert by_kernel > 200, "of some 300 packets all but the first few, on either side"
    assert "kernel_relay_off" not in lines.home.health()["alarms"]


def test_a_pause_and_a_resume_are_as_exact_as_through_sockets(lines: Exchange) -> None:
    before = relayed(lines.home)
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(ERASE_S + 1)
    asked_s = time.monotonic()
    lines.home.act(f"/api/calls/{recording}/pause").raise_for_status()
    paused_s = time.monotonic()
    talk.talk_for(1.5)
    in_pause = relayed(lines.home)
    resume_s = time.monotonic()
    lines.home.act(f"/api/calls/{recording}/resume").raise_for_status()
    resumed_s = time.monotonic()
    talk.talk_for(1.5)
    after = relayed(lines.home)
    row = talk.hang_up()

    assert [segment["kind"] for segment in row["segments"]] == ["recording", "paused", "recording"]
    assert before < in_pause < after, "the kernel relays before, in and after a pause"
    left, right, _ = lines.home.copy(recording)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert len(kept.spans) == 2, "no byte is missing but of the pause"
        assert kept.bytes_between(paused_s - ERASE_S + PACKET_S, resume_s) == 0
        assert kept.bytes_between(0, asked_s - ERASE_S) > 0
        frames, whole = kept.frames_between(resumed_s + 2 * PACKET_S, time.monotonic())
        assert whole >= frames - 2 > 50, "but for what was on its way at the hang-up"


def call_of(lines: Exchange) -> int:
    """Have a call recorded, look whether all of it is kept, and return how many packets the kernel relayed."""
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(1)
    assert talk.hang_up()["outcome"] == "recorded"
    left, right, _ = lines.home.copy(recording)
    assert [len(kept_of(*side).spans) for side in ((left, talk.left), (right, talk.right))] == [1, 1]
    return relayed(lines.home)


def start(home: RecorderHome, rights: str) -> None:
    """Start the daemon with all rights of root, or with what `deprived_daemon` leaves."""
    home.start(script=(Path(deprived_daemon.__file__), rights) if rights else None)


def test_two_capabilities_are_enough(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=(relaying_by("lo"),), is_started=False) as lines:
        start(lines.home, "bpf,net_admin")
        assert "kernel_relay_off" not in lines.home.health()["alarms"]
        assert call_of(lines) > 50


@pytest.mark.parametrize(
    ("interface", "rights", "says"),
    [
        ("nosuch0", "", "there is no interface nosuch0; write what `ip -brief link` lists"),
        ("lo", deprived_daemon.NAMESPACE, "the kernel does not let this process load its program; give"),
        (
            "lo",
            "bpf",
            "lacks CAP_BPF or CAP_NET_ADMIN; give the service AmbientCapabilities=CAP_BPF CAP_NET_ADMIN",
        ),
    ],
    ids=["no interface", "rights that are worth nothing", "no right"],
)
def test_a_kernel_that_cannot_stops_neither_daemon_nor_recording(
    tmp_path: Path, interface: str, rights: str, says: str
) -> None:
    with exchange(tmp_path, edits=(relaying_by(interface),), is_started=False) as lines:
        start(lines.home, rights)
        health = lines.home.health()
        assert (health["status"], health["alarms"]["kernel_relay_off"]) == ("alarm", 1)
        assert says in lines.home.said
        assert call_of(lines) == 0


OPTIONS = RelayOptions(lock_memory=False, kernel_interfaces=("lo", "nosuch0"))


def open_files() -> set[tuple[str, str]]:
    """Return the descriptors of this process, and what each is of."""
    found = set()
    for path in DESCRIPTORS.iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of this listing
            found.add((path.name, str(path.readlink())))
    return found


def test_a_relay_that_the_kernel_refuses_leaves_nothing_open() -> None:
    before = open_files()
    with pytest.raises(OSError, match="No such device") as kept:
        Relay(OPTIONS)
    left = open_files() - before  # what earlier tests left to the collector may be closed meanwhile
    assert left == set(), f"whoever looks at {kept.value} keeps nothing open"


def test_whatever_the_kernel_says_there_is_a_relay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(audio.relay, "_PROGRAM", tmp_path / "gone")
    relay, obstacle = open_relay(replace(OPTIONS, kernel_interfaces=("lo",)))
    with relay:
        assert obstacle is not None
        assert obstacle.says == "the kernel refuses: No such file or directory"
        assert "audio/relay.bpf.o is missing" in obstacle.do
        assert relay.open_leg() > 0


def test_a_tunnel_is_refused_with_what_to_name_instead(wires: Wires) -> None:
    wires.recorder.ip("tuntap add dev tunnel mode tun")
    with wires.recorder.inside():
        relay, obstacle = open_relay(replace(OPTIONS, kernel_interfaces=("tunnel",)))
    with relay:
        assert obstacle is not None
        assert "the one below a tunnel" in obstacle.do
