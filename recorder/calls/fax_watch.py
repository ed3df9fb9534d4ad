"""Fax machines on a recorded call: where one is heard or offered, recording ends for good. Call thread only."""

import time
from concurrent.futures import Future
from typing import Any, Protocol

from recorder.calls.part import Part
from recorder.calls.party import Party
from recorder.calls.taping import Taping
from recorder.domain.call import Side
from recorder.domain.fax import FaxRule
from recorder.domain.pausing import Final, PauseBook, PauseState

BY = "rule:fax"


class FaxedCall(Protocol):
    """The call; `recorder.calls.recorded_call.RecordedCall` is the real one."""

    book: PauseBook
    taping: Taping | None
    parties: dict[Side, Party]

    def keep_state(self, state: PauseState, reasons: list[str], position_s: float) -> "Future[None]":
        """Write down how the recording stands."""

    def tell(self) -> Any:  # noqa: ANN401 - nobody looks at it
        """Tell those who watch how the call is now."""


class FaxWatch(Part[FaxedCall]):
    """The fax rule of one call."""

    def __init__(self, call: FaxedCall) -> None:
        super().__init__(call)
        self._rule = FaxRule()

    def heard(self, kind: str) -> None:
        """Take a tone: there is nothing that anybody says where a fax is."""
        call = self._call
        if call.book.final is not None or not self._rule.heard(kind, time.monotonic()):
            return
        if call.taping is None:
            call.book.end(Final.FAX)
            return
        position_s = call.taping.end(Final.FAX, kind, BY)
        call.keep_state(call.book.state, sorted(call.book.reasons), position_s)
        call.tell()

    def joining(self) -> None:
        """Look whether a side has offered a fax by T.38, before the sides are joined."""
        call = self._call
        if call.book.final is None and call.taping is None and any(one.offers_t38 for one in call.parties.values()):
            call.book.end(Final.FAX)
