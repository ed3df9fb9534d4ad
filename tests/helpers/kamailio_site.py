"""Kamailio between a trunk's caller, one or more recorders and the PBX's officer, all on addresses of one machine."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.ports import free_port
from tests.helpers.exchange import user_of
from tests.helpers.kamailio import Address, Kamailio, kamailio
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually, recorder_home
from tests.helpers.sip_peer import Answer, Call, Caller, Message, Officer

KAMAILIO, TRUNK, PBX = "127.0.0.20", "127.0.0.30", "127.0.0.40"


class KamailioSite:
    """The parties, and a Kamailio that goes on until a test wants one with other names; a context manager.

    Args:
        folder: For the homes, and for Kamailio's log and lists.
        recorders: A name for each recorder.
        answer: What the officer does when called.
        always: Names of the configuration that every Kamailio has.

    Attributes:
        address: Where Kamailio listens.
        homes: The recorders, in the order of their names.
        caller: The trunk's.
        officer: The PBX's.
        proxy: The Kamailio that runs.
    """

    def __init__(
        self,
        folder: Path,
        recorders: Sequence[str],
        *,
        answer: Callable[[Message], Answer],
        always: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._recorders = recorders
        self._answer = answer
        self._always = always or {}
        self._defined: Mapping[str, str] | None = None
        self._running = ExitStack()
        self._stack = ExitStack()
        self.address: Address
        self.homes: list[RecorderHome]
        self.caller: Caller
        self.officer: Officer
        self.proxy: Kamailio

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.officer = stack.enter_context(Officer((PBX, 0), answer=self._answer))
            self.caller = stack.enter_context(Caller((TRUNK, 0)))
            self.address = (KAMAILIO, free_port())
            hop = "{}:{}".format(*self.address)
            self.homes = [
                stack.enter_context(recorder_home(self._folder / name, next_hop=hop)) for name in self._recorders
            ]
            stack.enter_context(self._running)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def fronted(self, defined: Mapping[str, str]) -> Self:
        """Have a Kamailio with these names between trunk, recorders and PBX: the one that runs, if it has them.

        Its list of calls goes on from those before.
        """
        if defined != self._defined:
            self._running.close()
            self._defined = None
            made = kamailio(
                self._folder, address=self.address, trunk=self.caller.address, pbx=self.officer.address,
                recorders=[home.sip for home in self.homes], defined={**self._always, **defined},
            )  # fmt: skip
            self.proxy, self._defined = self._running.enter_context(made), defined
        return self

    def arrived(self, name: str, *, timeout_s: float = HANGS_S) -> Call:
        """Wait until the call from a number is at the PBX."""
        return eventually(
            lambda: next((one for one in self.officer.incoming() if user_of(one.invite) == name), None),
            f"the call from {name} is at the PBX",
            timeout_s=timeout_s,
        )
