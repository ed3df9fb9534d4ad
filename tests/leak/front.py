"""Kamailio in front of the recorder of a run, with the configuration of deploy/kamailio: its log and list are sinks.

It knows trunk, PBX and recorder by their addresses, so that each has one of its own.
"""

import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.ports import free_port
from tests.helpers.kamailio import Address, Kamailio, kamailio
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Call
from tests.leak.plan import Plan
from tests.leak.ring import Lines
from tests.leak.triggers import RELAY, send_info

HOST, TRUNK, PBX = "127.0.0.22", "127.0.0.32", "127.0.0.42"
ROUND_S = 4.0
"""How long a call that goes round may take until it is answered: 1.5 s for the recorder that is dead."""


def _has_replies(count: int, call: Call) -> bool:
    return len(call.replies_to("INFO")) >= count


class Front:
    """Kamailio of one run. Close it.

    Attributes:
        address: Where calls are sent.
        report: Returns what `recorder report bypassed` says of its list.
    """

    def __init__(self) -> None:
        self.address: Address = (HOST, free_port())
        self.report: Callable[[], list[str]] = list
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="leak-kamailio-")))
        self.proxy: Kamailio

    def start(self, lines: Lines, recorder: Address) -> None:
        """Start it between telephones and a recorder, which need not run yet."""
        self.proxy = self._stack.enter_context(
            kamailio(
                self._folder, address=self.address, trunk=lines.caller.address, pbx=lines.officer.address,
                recorders=[recorder],
            )
        )  # fmt: skip

    def wait_welcoming(self, recorder: Address) -> None:
        """Wait until it gives calls to the recorder, wherever that listens by now."""
        listed = f"1 sip:{recorder[0]}:{recorder[1]}\n"
        if (self._folder / "dispatcher.list").read_text() != listed:
            (self._folder / "dispatcher.list").write_text(listed)
            self.proxy.command("dispatcher.reload")
        eventually(lambda: recorder in self.proxy.gives_calls_to(), "Kamailio gives the recorder calls")

    # --- what goes through it and never reaches a recorder

    def lead_round(self, lines: Lines, extension: str, plans: list[Plan]) -> list[str]:
        """Make calls while no recorder runs, in and out, with card numbers keyed; and send what cannot be read.

        Returns what is wrong with the list of the calls.
        """
        before = len(self.proxy.listed())
        for one in plans:
            lines.expect(one.caller, Answer(after_s=0.05))
            call = lines.caller.invite(self.address, extension, from_number=one.caller)
            call.wait_confirmed(ROUND_S)
            for count, digit in enumerate(one.digits, 1):
                send_info(call, digit, RELAY)
                call.wait_for(partial(_has_replies, count), ROUND_S)
            call.hang_up()
            call.wait_ended(ROUND_S)
            lines.officer.invite(self.address, one.caller, from_number=extension).wait_ended(ROUND_S)
            self._send_unreadable(one)
        listed = len(self.proxy.listed()) - before
        wanted = 2 * len(plans)
        return [] if listed == wanted else [f"{listed} calls are in Kamailio's list, not {wanted}"]

    def _send_unreadable(self, one: Plan) -> None:
        """Send an INFO with a broken length, as the trunk: Kamailio cannot read it, and says so."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((TRUNK, 0))
            sender.sendto(
                f"INFO sip:{one.caller}@x SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK}\r\nFrom: <sip:{one.caller};tag=1\r\n"
                f"To: <sip:{one.caller}@x>;tag=2\r\nCall-ID: leak\r\nCSeq: 1 INFO\r\nContent-Length: x\r\n\r\n"
                f"Signal={one.digits}\r\n".encode(),
                self.address,
            )
        time.sleep(0.05)

    # --- its sinks

    @property
    def listing(self) -> Path:
        """The folder of its list of calls that went round."""
        return self.proxy.bypassed

    def log(self) -> Iterator[tuple[str, bytes]]:
        """Yield its log."""
        yield "log", self.proxy.log.read_bytes()

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """Yield its list, and what the recorder reports of it."""
        lists = sorted(self.listing.iterdir())
        for path in lists:
            yield path.name, path.read_bytes()
        for number, text in enumerate(self.report() if lists else ()):
            yield f"report {number}", text.encode()

    def plant_log(self, digits: str) -> None:
        """Have a line with digits in its log."""
        with self.proxy.log.open("a") as log:
            log.write(f"{digits}\n")

    def plant(self, extension: str, digits: str) -> None:
        """Have a call in its list whose Call-ID is digits."""
        with (self.listing / "bypassed_planted.log").open("a") as listed:
            listed.write(f"INVITE|a||{digits}|200|not recorded|{int(time.time())}|in|{extension}|{HOST}\n")

    def close(self) -> None:
        """End it and remove its files."""
        self._stack.close()
