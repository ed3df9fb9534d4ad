"""Fixtures of several files: who relays media, when benchmarks begin, and processes that are killed."""

from collections.abc import Iterator
from typing import Any

import pytest

from audio.types import MediaIo
from tests.crash.zygote import Zygote
from tests.helpers.network_call import Call
from tests.helpers.networks import Wires
from tests.helpers.rtp import UNPACED
from tests.helpers.sound_card import SoundCard


@pytest.fixture(params=[(), pytest.param(("lo",), marks=pytest.mark.kernel_relay)], ids=["sockets", "kernel"])
def kernel_interfaces(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """`RelayOptions.kernel_interfaces`, so that a test runs twice: media goes through sockets, and through the kernel.

    For tests whose packets come over the wire: what is injected meets no interface.
    """
    interfaces: tuple[str, ...] = request.param
    return interfaces


@pytest.fixture(
    params=[
        ("epoll", ()),
        pytest.param(("io_uring", ()), marks=pytest.mark.io_uring),
        pytest.param(("auto", ("lo",)), marks=pytest.mark.kernel_relay),
    ],
    ids=["epoll", "io_uring", "kernel"],
)
def carried(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options of a relay, so that a test runs three times: media goes through sockets, in two ways, and the kernel.

    For tests whose subject is the way of packets; peers do not wait 20 ms for each.
    """
    io, interfaces = request.param
    return {
        "io": MediaIo(io),
        "io_packets_per_s": UNPACED,
        "kernel_interfaces": interfaces,
        "kernel_packets_per_s": UNPACED,
    }


@pytest.fixture
def begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin to measure before all is written: tests keep benchmarks alive, and judge no times."""
    monkeypatch.setattr("benchmarks.paths.STEADY_AFTER_S", 1.0)


@pytest.fixture
def wires() -> Iterator[Wires]:
    with Wires() as wires:
        yield wires


@pytest.fixture
def network_call(wires: Wires) -> Iterator[Call]:
    call = Call(wires)
    with call.relay:
        yield call
    call.caller.close()
    call.callee.close()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """A process that imports what it is to run once, and forks one for each kill."""
    with Zygote() as made:
        yield made


@pytest.fixture(scope="session")
def sound_card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundCard]:
    """A sound card for the whole session, made when the first test asks for it; heard after two seconds."""
    with SoundCard(tmp_path_factory.mktemp("sound")) as card:
        yield card
