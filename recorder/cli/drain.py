"""`recorder drain`: has the daemon refuse new calls, and waits until those in progress have ended."""

import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.cli.context import LazyHomeContext
from recorder.cli.output import fail, print_json, say
from recorder.cli.site import open_members
from recorder.common.home import Home
from recorder.control.client import DrainClient
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.control.peercred import peer_of

LOOK_S = 0.5
"""How often the calls that are left are asked for, seconds."""
TOLD_S = 60.0
"""How often they are told although their number is the same, seconds."""
LEAVING_S = 60.0
"""How long the daemon may take to file the last recordings and to leave, seconds."""
MOST_S = 86_400.0
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smh]?)", re.ASCII)
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def drain(
    context: LazyHomeContext,
    within: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="TIME",
            help="How long to wait, 90s, 10m or 1h; with --stop, the calls that are left are ended then.",
        ),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="The daemon stops when the last call has ended.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Take new calls again.")] = False,
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="NAME", help="Another node of the site; not with --stop, which is done there."),
    ] = None,
) -> None:
    """Refuse new calls, and wait until the calls in progress have ended. Emergency calls pass.

    A drain alone ends no call and does not stop the daemon; it lasts until --cancel or a restart. Ctrl-C ends the
    waiting, not the drain. The exit code is 0 when every call has ended by itself, and 1 when not.
    """
    if cancel and (stop or within is not None):
        fail("give --cancel alone", 2)
    if stop and node is not None:
        fail("--stop is for the daemon of this machine: run it on the node", 2)
    limit_s = None if within is None else seconds_of(within)
    path = context.home.socket
    with _client_of(context.home, node) as client:
        try:
            if cancel:
                result = client.take_back()
                say(f"the recorder takes new calls again; {_calls(result)} in progress")
            elif stop:
                result = _stop(path, client, limit_s)
            else:
                result = _drain(client, limit_s)
        except (DaemonUnavailableError, DaemonRefusedError) as error:
            fail(str(error))
    if context.json:
        print_json(result)
    if not cancel and result["calls"]:
        raise typer.Exit(1)


@contextmanager
def _client_of(home: Home, node: str | None) -> Iterator[DrainClient]:
    """Open the client of this machine's daemon, or of another node; exit if there is no such node."""
    if node is None:
        with closing(DrainClient(home.socket)) as client:
            yield client
        return
    with open_members(home) as members:
        if members is None:
            fail("this machine reaches no other node: [node] in recorder.toml names no certificate", 2)
        member = members.get(node)
        if member is None:
            known = ", ".join(one.name for one in members.all()) or "none"
            fail(f"no node {node} runs in this site; known are {known}", 2)
        yield DrainClient(member.link)


def seconds_of(text: str) -> float:
    """Return a duration such as 90s, 10m or 1h in seconds; without a unit, seconds. Exits with 2 if it is none."""
    match = _DURATION.fullmatch(text.strip())
    seconds = None if match is None else float(match[1]) * _SECONDS[match[2]]
    if seconds is None or seconds > MOST_S:
        fail(f"--for: {text!r} is not a time of up to a day, such as 90s, 10m or 1h", 2)
    return seconds


def _drain(client: DrainClient, limit_s: float | None) -> dict[str, Any]:
    """Drain, and wait; return the last state, with the seconds that passed."""
    state = client.drain()
    progress = _Progress(state)
    while state["calls"] and (limit_s is None or progress.passed_s < limit_s):
        time.sleep(LOOK_S if limit_s is None else min(LOOK_S, max(limit_s - progress.passed_s, 0.01)))
        try:
            state = client.state()
        except DaemonUnavailableError:
            if state["state"] == "draining":
                raise
            return _stopped(state, progress)  # somebody has stopped it meanwhile
        if state["state"] == "running":
            fail("someone cancelled the drain: the recorder takes new calls again")
        progress.tell(state)
    if state["calls"]:
        say(
            f"{_calls(state)} left after {_time(progress.passed_s)}; they go on, and new calls stay refused: "
            "`recorder drain` waits again, `--cancel` takes new calls, `--stop --for TIME` ends what is left after it"
        )
    else:
        say(
            f"no call is left, after {_time(progress.passed_s)}; new calls stay refused: "
            "`recorder drain --cancel` takes them again, `recorder drain --stop` stops the daemon"
        )
    return {**state, "waited_s": round(progress.passed_s, 1)}


def _stop(path: Path, client: DrainClient, limit_s: float | None) -> dict[str, Any]:
    """Stop the daemon, and wait until it has left; return the last state, with the seconds that passed.

    ``calls`` are those that were ended because the limit was over.
    """
    with _process_at(path) as has_left:
        state = client.stop(limit_s)
        progress = _Progress(state)
        while not has_left(LOOK_S):
            try:
                news = client.state()
            except (DaemonUnavailableError, DaemonRefusedError):
                break
            if news["state"] == "stopping":
                progress.tell(state := news)
        if not has_left(LEAVING_S):
            fail("the daemon does not stop; see its log")
    return _stopped(state, progress)


def _stopped(state: dict[str, Any], progress: "_Progress") -> dict[str, Any]:
    # It leaves a while after the last call has ended by itself, so a call that was seen last was ended by the daemon.
    ended = f"; it ended {_calls(state)}" if state["calls"] else ""
    say(f"the daemon has stopped, after {_time(progress.passed_s)}{ended}")
    return {**state, "state": "stopped", "waited_s": round(progress.passed_s, 1)}


@contextmanager
def _process_at(path: Path) -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits some seconds for the process at a socket to leave, and tells whether it has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
            process = os.pidfd_open(peer_of(connection)[1])
        except OSError:
            fail(f"no daemon answers at {path}: there is nothing to stop")
    try:
        yield lambda seconds: bool(select.select([process], [], [], seconds)[0])
    finally:
        os.close(process)


class _Progress:
    """Says how many calls are left, when that changes and now and then."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._began_s = time.monotonic()
        self._calls: int | None = None
        self._told_s = self._began_s
        self.tell(state)

    @property
    def passed_s(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._began_s

    def tell(self, state: dict[str, Any]) -> None:
        """Say how many calls are left, if that is new or was not said for a minute."""
        now_s = time.monotonic()
        if state["calls"] == self._calls and now_s - self._told_s < TOLD_S:
            return
        left_s = state["left_s"]
        limit = "" if left_s is None or not state["calls"] else f", {_time(left_s)} at most"
        if state["calls"]:
            say(f"{state['state']}: new calls are refused; {_calls(state)} in progress{limit}")
        self._calls, self._told_s = state["calls"], now_s


def _calls(state: dict[str, Any]) -> str:
    return "1 call" if state["calls"] == 1 else f"{state['calls']} calls"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
