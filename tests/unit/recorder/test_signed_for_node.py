"""Signatures for the daemon of another machine: for one node, one run of its daemon, once, by the node's own clock."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.access.signing import (
    REMOTE_GOOD_FOR_S,
    Audience,
    Said,
    Signer,
    UnsignedError,
    Verifier,
    ensure_key,
    public_path,
    secret_path,
)
from storage.errors import KeyProblemError

SAID = Said(method="POST", target="/api/calls/x/pause", actor="dora", content=b"{}")
HERE_S, THERE_S = 500.0, 90_000.0
"""Time since boot of the console's machine and of the node: they have nothing to do with each other."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    ensure_key(tmp_path)
    return tmp_path


def signer(home: Path, at_s: float = HERE_S) -> Signer:
    return Signer(home, clock=lambda: at_s)


def node(home: Path, name: str = "north", clock: Callable[[], float] = lambda: THERE_S) -> Verifier:
    return Verifier(home, node=name, clock=clock)


def audience(verifier: Verifier, *, name: str = "") -> Audience:
    told = verifier.greeting
    return Audience(node=name or told.node, run=told.run, ahead_ms=told.now_ms - int(HERE_S * 1000))


def test_a_signature_is_valid_once_at_the_node_that_it_is_for(home: Path) -> None:
    north = node(home)
    header = signer(home).sign(SAID, audience(north))
    with pytest.raises(UnsignedError):
        north.check(SAID, header)  # on the socket
    north.check(SAID, header, is_remote=True)
    with pytest.raises(UnsignedError, match="used before"):
        north.check(SAID, header, is_remote=True)


def test_a_signature_for_this_machine_is_not_valid_over_the_network(home: Path) -> None:
    north = node(home)
    with pytest.raises(UnsignedError, match="is not signed"):
        north.check(SAID, Signer(home).sign(SAID), is_remote=True)


def test_a_request_for_one_node_is_not_valid_at_another_even_if_that_one_lies(home: Path) -> None:
    north, south = node(home), node(home, "south")
    with pytest.raises(UnsignedError, match="not valid"):
        south.check(SAID, signer(home).sign(SAID, audience(north)), is_remote=True)
    # South told the console north's run: the console signs for south all the same.
    with pytest.raises(UnsignedError, match="not valid"):
        north.check(SAID, signer(home).sign(SAID, audience(north, name="south")), is_remote=True)


def test_it_is_not_valid_after_a_restart_of_the_daemon(home: Path) -> None:
    header = signer(home).sign(SAID, audience(node(home)))
    with pytest.raises(UnsignedError, match="not valid"):
        node(home).check(SAID, header, is_remote=True)


@pytest.mark.parametrize("late_s", [-REMOTE_GOOD_FOR_S - 0.1, REMOTE_GOOD_FOR_S + 0.1])
def test_it_is_not_valid_at_another_time_of_the_node(home: Path, late_s: float) -> None:
    clock = [THERE_S]
    north = node(home, clock=lambda: clock[0])
    header = signer(home).sign(SAID, audience(north))
    clock[0] += late_s
    with pytest.raises(UnsignedError, match="too old"):
        north.check(SAID, header, is_remote=True)


@pytest.mark.parametrize("change", [{"actor": "dpo"}, {"content": b"{ }"}, {"target": "/api/calls/y/pause"}])
def test_a_changed_request_is_refused(home: Path, change: dict[str, object]) -> None:
    north = node(home)
    header = signer(home).sign(SAID, audience(north))
    changed = Said(**{**{key: getattr(SAID, key) for key in ("method", "target", "actor", "content")}, **change})
    with pytest.raises(UnsignedError, match="not valid"):
        north.check(changed, header, is_remote=True)


def test_a_node_that_has_only_the_public_key_makes_no_other(home: Path) -> None:
    secret_path(home).unlink()
    before = public_path(home).read_bytes()
    with contextlib.suppress(KeyProblemError):
        Signer(home).sign(SAID)
        raise AssertionError("it has signed")
    assert not secret_path(home).exists() and public_path(home).read_bytes() == before
