"""The kernel's word on a real unix socket, and the client that the command line uses."""

import os
import pwd
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from recorder.control.client import LiveClient, OptOutGrant
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.control.peercred import PeerCredProtocol, peer_of, user_name
from recorder.permissions import Application, LocalUser, Person, Role, Scope
from recorder.rules.call_target import CallTarget, ExtensionTarget
from tests.helpers.console_site import CALL, Daemon, serving

ME = pwd.getpwuid(os.getuid()).pw_name
ZOE = Person(name="zoë", display_name="Zoë Example", roles=frozenset({Role.MANAGER}), teams=("Revenues",))
SHOP = Application(name="shop", scopes=frozenset({Scope.PAUSE}), extensions=frozenset({"2001"}))


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def path(tmp_path: Path, daemon: Daemon) -> Iterator[Path]:
    path = tmp_path / "recorder.sock"
    config = uvicorn.Config(
        daemon.app, uds=str(path), http=PeerCredProtocol, lifespan="off", log_config=None, proxy_headers=False
    )
    with serving(config, daemon.release):
        yield path


def test_the_daemon_knows_the_user_and_the_name(path: Path, daemon: Daemon) -> None:
    with LiveClient(path) as client:
        assert client.calls(actor="zoë")[0]["call"] == CALL
        assert client.pause(CallTarget(CALL), actor=ZOE, reason="card")["state"] == "paused"
        assert client.resume(CallTarget(CALL), actor=SHOP)["state"] == "recording"
        grant = OptOutGrant(caller_asked=True, distress_judged=True, reason="distress")
        assert client.opt_out(CallTarget(CALL), person=ZOE, grant=grant)["state"] == "opted_out"
        (paused,) = client.pause(ExtensionTarget("2001"), actor=LocalUser(name="root"))["calls"]
        assert (paused["call"], paused["state"]) == (CALL, "paused")
    assert [heard[2] for heard in daemon.heard] == [ME] * 4
    person = {"display_name": "Zoë Example", "roles": ["manager"], "teams": ["Revenues"], "extension": None}
    assert daemon.heard[0][1:] == ("zo%C3%AB", ME, {"reason": "card", "person": person})
    assert daemon.heard[1][1:] == ("token:shop", ME, {"reason": "", "as": "token:shop", "extensions": ["2001"]})
    assert daemon.heard[2][3]["person"] == person
    assert daemon.heard[3][1:] == (None, ME, {"reason": ""}), "who has no account is known by the socket alone"


def test_a_refusal_is_told(path: Path) -> None:
    with LiveClient(path) as client, pytest.raises(DaemonRefusedError, match="no such call") as refused:
        client.pause(CallTarget("other"), actor=ZOE)
    assert refused.value.status == 404


def test_a_daemon_that_is_not_there(tmp_path: Path) -> None:
    with LiveClient(tmp_path / "recorder.sock") as client, pytest.raises(DaemonUnavailableError, match="recorder up"):
        client.calls()


def test_a_daemon_that_died(tmp_path: Path) -> None:
    path = tmp_path / "recorder.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with LiveClient(path) as client, pytest.raises(DaemonUnavailableError, match="does not answer"):
        client.calls()


def test_a_daemon_that_hangs(path: Path, daemon: Daemon) -> None:
    daemon.is_stalled = True
    with LiveClient(path, timeout_s=0.2) as client, pytest.raises(DaemonUnavailableError, match="in time"):
        client.calls()


def test_a_daemon_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "recorder.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def hang_up() -> None:
            accepted, _address = listening.accept()
            with accepted:
                accepted.recv(100)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with LiveClient(path) as client, pytest.raises(DaemonUnavailableError, match="broke off"):
            client.calls()
        thread.join()


def test_credentials_of_a_pair() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer_of(left) == (os.getuid(), os.getpid())


@pytest.mark.parametrize("client", [None, ("127.0.0.1", 5060), ("uid:x", 1), ("uid:1 ", 1), ("", 0)])
def test_who_is_nobody(client: tuple[str, int] | None) -> None:
    assert user_name(client) is None


def test_user_names() -> None:
    assert user_name((f"uid:{os.getuid()}", 1)) == ME
    assert user_name(("uid:4294967294", 1)) == "uid:4294967294"
