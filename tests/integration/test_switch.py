"""Hosts on a switch: who reaches whom, before, in and after a partition."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.networks import Switch
from tests.helpers.recorder_home import recorder_home
from tests.helpers.sip_process import Peer


class Line:
    """A socket on each of three hosts."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.sockets = {name: switch[name].network.udp(switch[name].address) for name in ("north", "south", "console")}

    def reaches(self, one: str, other: str) -> bool:
        """Tell whether a datagram of a host comes to another."""
        receiver = self.sockets[other]
        self.sockets[one].sendto(one.encode(), receiver.getsockname())
        receiver.settimeout(0.2)
        try:
            return receiver.recv(64) == one.encode()
        except TimeoutError:
            return False


@pytest.fixture
def line() -> Iterator[Line]:
    with Switch("north", "south", "console") as switch:
        made = Line(switch)
        yield made
        for each in made.sockets.values():
            each.close()


def test_a_partition_of_two_hosts_is_silent_and_leaves_the_third_alone(line: Line) -> None:
    assert line.reaches("north", "console")
    line.switch.partition("north", "console")
    assert not line.reaches("north", "console")
    assert not line.reaches("console", "north")
    assert line.reaches("north", "south")
    line.switch.heal("north", "console")
    assert line.reaches("north", "console")
    assert line.reaches("console", "north")


def test_a_host_is_cut_off_from_all_others(line: Line) -> None:
    line.switch.partition("south")
    assert not line.reaches("north", "south")
    assert not line.reaches("south", "console")
    assert line.reaches("console", "north")
    line.switch.heal("south")
    assert line.reaches("south", "console")


def test_processes_of_a_host_have_its_network(line: Line) -> None:
    with line.switch["north"].inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as of_north:
        of_north.bind((line.switch["north"].address, 0))
    with pytest.raises(OSError, match="assign"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind((line.switch["north"].address, 0))


@pytest.mark.long
def test_a_recorder_runs_on_a_host_and_answers_there(tmp_path: Path) -> None:
    with Switch("north", "console") as switch:
        north, console = switch["north"], switch["console"]
        with (
            recorder_home(
                tmp_path, next_hop=f"{console.address}:5060", host=north.address, network=north.network
            ) as home,
            console.inside(),
            Peer(home.sip, host=console.address) as peer,
        ):
            assert home.health()["calls"] == 0, "its socket is a file, which every host sees"
            peer.request("OPTIONS")
            assert peer.receive().status == 200
            switch.partition("north")
            peer.request("OPTIONS")
            peer.nothing()
