"""UDP ports for media on loopback: taken in pairs, rested after use, and remembered across a killed run."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from audio.port_memory import PortMemory
from audio.ports import PortPool
from audio.types import PortsExhaustedError
from benchmarks.ports import free_range


def test_ports_run_out_rest_and_come_back() -> None:
    now, (first, _) = [0.0], free_range(10)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", first + 5))
        pool = PortPool(address="127.0.0.1", ports=(first + 1, first + 8), quarantine_s=2.0, clock=lambda: now[0])
        pairs = [pool.take(), pool.take()]
        assert sorted(pair.port for pair in pairs) == [first + 2, first + 6]
        with pytest.raises(PortsExhaustedError, match="2 in use, 1 held by others"):
            pool.take()
        pool.give_back(pairs[0])
        now[0] = 2.0
        again = pool.take()
        assert again.port == pairs[0].port
        again.close()
        pairs[1].close()


def test_a_pair_that_rests_is_used_last_and_is_no_reason_to_refuse_a_call() -> None:
    now, ports = [0.0], free_range(6)
    low, middle, high = range(*ports, 2)
    pool = PortPool(address="127.0.0.1", ports=ports, clock=lambda: now[0], pick=lambda n: n - 1)
    first, second = pool.take(), pool.take()
    assert [first.port, second.port] == [high, low], "in turn, from any on"
    pool.give_back(second)
    pool.give_back(first)
    now[0] = 1.0
    pairs = [pool.take(), pool.take(), pool.take()]
    assert [pair.port for pair in pairs] == [middle, low, high], "the free one, then the one that has rested longest"
    with pytest.raises(PortsExhaustedError, match="3 in use, 0 held by others"):
        pool.take()
    for pair in pairs:
        pool.give_back(pair)


def test_ports_of_a_killed_run_are_used_last_for_ten_minutes(tmp_path: Path) -> None:
    now, ports = [0.0], free_range(8)
    one, two, three, four = range(*ports, 2)

    def pool() -> PortPool:
        memory = PortMemory(tmp_path / "ports", lambda work: work())
        return PortPool(address="127.0.0.1", ports=ports, clock=lambda: now[0], memory=memory, pick=lambda n: 0)

    killed = pool()
    left = [killed.take(), killed.take(), killed.take()]
    now[0] = 1.0
    killed.give_back(left[1])
    for pair in left:
        pair.close()
    after = pool()
    pairs = [after.take() for _ in range(4)]
    assert [pair.port for pair in pairs] == [four, one, two, three], "one rested when the run ended"
    for pair in pairs:
        after.give_back(pair)
    now[0] = 4.0
    out = after.take()
    assert PortMemory(tmp_path / "ports", lambda work: work()).former == {out.port}, "rests that are over are not noted"
    out.close()
    later = pool()
    now[0] = 603.9
    for pair in (later.take(), later.take(), later.take()):
        assert pair.port != out.port
        pair.close()
    now[0] = 604.0
    again = later.take()
    assert again.port == out.port
    again.close()


def test_pairs_that_are_noted_together_wake_the_writing_thread_once_and_are_written_in_order(tmp_path: Path) -> None:
    work = list[Callable[[], None]]()
    memory = PortMemory(tmp_path / "ports", work.append)
    for port, is_used in ((4000, True), (4002, True), (4000, False)):
        memory.note(port, is_used=is_used)
    assert len(work) == 1
    work.pop()()
    assert PortMemory(tmp_path / "ports", work.append).former == {4002}
    memory.note(4004, is_used=True)
    work.pop()()
    assert PortMemory(tmp_path / "ports", work.append).former == {4002, 4004}
    memory.close()


def test_ports_are_taken_from_a_random_one_on() -> None:
    firsts = set()
    for _ in range(20):
        pool = PortPool(address="127.0.0.1", ports=(42000, 42999))
        pair = pool.take()
        firsts.add(pair.port)
        pair.close()
    assert len(firsts) > 10


def test_a_memory_that_cannot_be_kept_refuses_no_call(tmp_path: Path) -> None:
    memory = PortMemory(tmp_path / "nowhere" / "ports", lambda work: work())
    pool = PortPool(address="127.0.0.1", ports=free_range(2), memory=memory)
    pool.give_back(pool.take())
    assert memory.former == frozenset()


def test_media_is_marked_ef() -> None:
    pool = PortPool(address="127.0.0.1", ports=free_range(2), dscp=46)
    pair = pool.take()
    assert pair.rtp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
    pool.give_back(pair)
