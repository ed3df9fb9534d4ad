"""Calls through a real PBX that is set up as docs/integration says, by hand: see README.md beside this.

    PBX=/opt/asterisk .venv/bin/pytest -q tests/peers/pbx/check.py

Each call ends with the officer's pause: what is said after it may be in no recording.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.recorder_home import eventually
from tests.peers.pbx.asterisk import Asterisk
from tests.peers.pbx.freeswitch import FreeSwitch
from tests.peers.pbx.site import AFTER, BEFORE, CALLER, CARRIER, DESKS, PAUSED, PBX, RecorderSite, heard_by, network
from tests.peers.pbx.telephone import Telephone

TALK_S = 4.0
RESULTS = Path(os.environ.get("PBX_RESULTS", "pbx-results.md"))


@dataclass
class Site:
    """A PBX, a recorder beside it, a carrier and three desks."""

    pbx: Any
    recorder: RecorderSite
    phones: dict[str, Telephone]
    folder: Path

    def __getitem__(self, name: str) -> Telephone:
        return self.phones[name]

    def note(self, line: str) -> None:
        """Write a line of the results."""
        with RESULTS.open("a") as file:
            file.write(line + "\n")

    def talk(self, *names: str, when: int = BEFORE, seconds: float = TALK_S) -> None:
        """Have some telephones say their tones of a part of the call for so long."""
        for name in names:
            self.recorder.have_say(self[name], when)
        time.sleep(seconds)

    def press(self, officer: str, call: int, digits: str) -> None:
        """Have an officer press keys."""
        for digit in digits:
            self[officer].do("press", call=call, digits=digit)
            time.sleep(0.4)

    def is_paused(self) -> bool:
        """Whether there are recorded calls, and all are paused."""
        calls = self.recorder.calls()
        return bool(calls) and all(call["state"] == "paused" for call in calls)

    def pause_and_resume(self, officer: str, call: int, *talking: str) -> bool:
        """Have an officer press the pause keys, say what nobody may keep, and go on; returns whether it was paused."""
        self.press(officer, call, "*5")
        try:
            eventually(self.is_paused, "paused", timeout_s=5)
            is_paused = True
        except AssertionError:
            is_paused = False
        self.talk(*talking, when=PAUSED, seconds=3.0)
        self.talk(*talking, when=AFTER, seconds=1.0)
        self.press(officer, call, "*6")
        time.sleep(TALK_S)
        for hearing, speaking in (talking, talking[::-1]):
            heard = heard_by(self[hearing]).get(speaking, (0.0, 0.0, 0.0))
            assert heard[AFTER] > 1, f"{hearing} does not hear {speaking}"
        return is_paused


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    prefix = Path(os.environ["PBX"])
    folder = tmp_path_factory.mktemp("pbx")
    kind = Asterisk if (prefix / "sbin" / "asterisk").exists() else FreeSwitch
    with ExitStack() as stack:
        stack.enter_context(network().inside())
        recorder = RecorderSite(folder / "recorder", over_tcp=kind.over_tcp)
        stack.callback(recorder.close)
        recorder.start()
        pbx = kind(prefix, folder / "pbx")
        stack.callback(pbx.close)
        pbx.start()
        made = Site(pbx, recorder, {}, folder)
        made.note(f"# {pbx.version}")
        yield made


@pytest.fixture(autouse=True)
def phones(site: Site, request: pytest.FixtureRequest) -> Iterator[None]:
    """New telephones for each call."""
    folder = site.folder / request.node.name
    folder.mkdir()
    with ExitStack() as stack:
        site.phones.clear()
        site.phones["trunk"] = stack.enter_context(
            Telephone("trunk", folder, CARRIER, identity=f"sip:{CALLER}@{CARRIER}", trace=True)
        )
        for number, address in DESKS.items():
            site.phones[number] = stack.enter_context(
                Telephone(
                    number, folder, address, identity=f"sip:{number}@{site.pbx.domain}", registrar=f"sip:{PBX}",
                    user=number, password=site.pbx.password, trace=True,
                )
            )  # fmt: skip
        for number in DESKS:
            site[number].wait("registered", lambda phone: phone.is_registered)
        eventually(site.pbx.sees_recorder, "the PBX sees the recorder", timeout_s=60)
        yield


def file(site: Site, what: str, is_paused: bool | None, *, parties: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """End a call: note its rows for the table and check that no recording has what was said while it was paused."""
    rows = site.recorder.new_rows()
    leaked, notes = False, []
    for row in rows:
        text = f"{row['extensions']} {row['operators']}: {row['outcome']} {row['reason']}"
        text += f" {[(part['kind'], part['operator'], round(part['end_s'], 1)) for part in row['segments']]}"
        if row["outcome"] in ("recorded", "partial"):
            heard = site.recorder.heard_in(row["id"])
            text += f" {heard}"
            leaked |= any(seconds[PAUSED] for channel in heard for seconds in channel.values())
        notes.append(text)
    site.note(f"| {what} | {'; '.join(notes) or 'nothing'} | {is_paused} leaked={leaked}")
    for name, phone in site.phones.items():
        site.note(f"  heard by {name}: {heard_by(phone)}")
    assert is_paused is not False and not leaked
    return rows


def from_outside(site: Site, number: str) -> None:
    """Have the carrier call a number."""
    site["trunk"].do("dial", uri=f"sip:{number}@{PBX}:{site.pbx.trunk_port}")


def hang_up(site: Site, name: str) -> None:
    site[name].read()
    for call, state in site[name].calls.items():
        if state == "confirmed":
            site[name].do("hang_up", call=call)


def test_in(site: Site) -> None:
    from_outside(site, "2001")
    call = site["2001"].pick_up()
    site.talk("trunk", "2001", seconds=8)
    paused = site.pause_and_resume("2001", call, "trunk", "2001")
    hang_up(site, "trunk")
    (row,) = file(site, "in", paused)
    assert (row["operator"], row["outcome"]) == ("alice", "recorded")


def test_out(site: Site) -> None:
    site["2001"].do("dial", uri=f"sip:01632960999@{PBX}")
    site["trunk"].pick_up()
    call = site["2001"].wait_newest("confirmed")
    site.talk("trunk", "2001", seconds=8)
    paused = site.pause_and_resume("2001", call, "trunk", "2001")
    hang_up(site, "2001")
    (row,) = file(site, "out", paused)
    assert (row["operator"], row["outcome"]) == ("alice", "recorded")


def test_emergency(site: Site) -> None:
    site["2001"].do("dial", uri=f"sip:999@{PBX}")
    site["trunk"].pick_up()
    call = site["2001"].wait_newest("confirmed")
    site.talk("trunk", "2001")
    site.press("2001", call, "*5")
    site.talk("trunk", "2001", when=PAUSED)
    hang_up(site, "2001")
    assert file(site, "999", None) == []


def _joined(site: Site) -> int:
    """Have the carrier call 2001, and talk; returns the officer's call."""
    from_outside(site, "2001")
    call = site["2001"].pick_up()
    site.talk("trunk", "2001", seconds=6)
    return call


def test_blind(site: Site) -> None:
    call = _joined(site)
    site["2001"].do("transfer", call=call, uri=f"sip:2002@{PBX}")
    bobs = site["2002"].pick_up()
    site.talk("trunk", "2002", seconds=8)
    paused = site.pause_and_resume("2002", bobs, "trunk", "2002")
    hang_up(site, "trunk")
    rows = file(site, "blind", paused)
    assert [row["operators"] for row in rows] == [["alice", "bob"]]


def test_blind_to_nobody_nominated(site: Site) -> None:
    call = _joined(site)
    site["2001"].do("transfer", call=call, uri=f"sip:2003@{PBX}")
    site["2003"].pick_up()
    site.talk("trunk", "2003", when=BEFORE, seconds=2)
    site.talk("trunk", "2003", when=PAUSED, seconds=8)
    hang_up(site, "trunk")
    file(site, "blind to 2003", None)


def test_attended(site: Site) -> None:
    call = _joined(site)
    site["2001"].do("hold", call=call)
    site["2001"].do("dial", uri=f"sip:2002@{PBX}")
    bobs = site["2002"].pick_up()
    site["2001"].wait("the consultation is up", lambda phone: list(phone.calls.values()).count("confirmed") == 2)
    asked = max(site["2001"].calls)
    site.talk("2001", "2002", seconds=4)
    site["2001"].do("replace", call=call, other=asked)
    site["2001"].wait("both calls of the transferor are over", lambda phone: "confirmed" not in phone.calls.values())
    site.talk("trunk", "2002", seconds=8)
    paused = site.pause_and_resume("2002", bobs, "trunk", "2002")
    hang_up(site, "trunk")
    file(site, "attended", paused)


def test_attended_to_nobody_nominated(site: Site) -> None:
    call = _joined(site)
    site["2001"].do("hold", call=call)
    site["2001"].do("dial", uri=f"sip:2003@{PBX}")
    site["2003"].pick_up()
    site["2001"].wait("the consultation is up", lambda phone: list(phone.calls.values()).count("confirmed") == 2)
    asked = max(site["2001"].calls)
    site.talk("2001", "2003", seconds=4)
    site["2001"].do("replace", call=call, other=asked)
    site["2001"].wait("both calls of the transferor are over", lambda phone: "confirmed" not in phone.calls.values())
    site.talk("trunk", "2003", seconds=2)
    site.talk("trunk", "2003", when=PAUSED, seconds=8)
    hang_up(site, "trunk")
    file(site, "attended to 2003", None)


def test_paused_before_the_transfer(site: Site) -> None:
    call = _joined(site)
    site.press("2001", call, "*5")
    eventually(site.is_paused, "paused", timeout_s=5)
    site["2001"].do("transfer", call=call, uri=f"sip:2002@{PBX}")
    bobs = site["2002"].pick_up()
    site.talk("trunk", "2002", when=PAUSED)
    is_paused = site.is_paused()
    site.talk("trunk", "2002", when=AFTER, seconds=1.0)
    site.press("2002", bobs, "*6")
    time.sleep(TALK_S)
    hang_up(site, "trunk")
    file(site, "blind while paused", is_paused)


def test_transfer_to_999(site: Site) -> None:
    call = _joined(site)
    site["2001"].do("transfer", call=call, uri=f"sip:999@{PBX}")
    time.sleep(1)
    site["trunk"].pick_up()
    site["2001"].wait("the transferor is out", lambda phone: "confirmed" not in phone.calls.values())
    site.talk("trunk", seconds=1)  # the PBX says after the answer who is there, some 100 ms later
    site.talk("trunk", when=PAUSED, seconds=6)
    hang_up(site, "trunk")
    file(site, "transfer to 999", None)


def test_internal(site: Site) -> None:
    site["2003"].do("dial", uri=f"sip:2001@{PBX}")
    call = site["2001"].pick_up()
    site.talk("2003", "2001", seconds=8)
    paused = site.pause_and_resume("2001", call, "2003", "2001")
    hang_up(site, "2003")
    file(site, "internal", paused)


def test_302(site: Site) -> None:
    from_outside(site, "2001")
    call = site["2001"].wait_newest("incoming")
    site["2001"].do("answer", call=call, code=302, uri=f"sip:2002@{PBX}")
    bobs = site["2002"].pick_up()
    site.talk("trunk", "2002", seconds=8)
    paused = site.pause_and_resume("2002", bobs, "trunk", "2002")
    hang_up(site, "trunk")
    file(site, "302", paused)


def test_recorder_is_stopped(site: Site) -> None:
    site.recorder.stop()
    try:
        for is_missed in (False, True):
            if is_missed:
                eventually(lambda: not site.pbx.sees_recorder(), "the PBX misses the recorder", timeout_s=60)
            from_outside(site, "2001")
            site["2001"].pick_up(40)
            site.talk("trunk", "2001", seconds=2)
            hang_up(site, "trunk")
            time.sleep(1)
        site["2001"].do("dial", uri=f"sip:01632960999@{PBX}")
        site["trunk"].pick_up(40)
        site.talk("trunk", "2001", seconds=2)
        hang_up(site, "2001")
    finally:
        site.recorder.start()
    assert file(site, "in, recorder stopped", None) == []


def test_pickup(site: Site) -> None:
    from_outside(site, "2001")
    site["2001"].wait_newest("incoming")
    bobs = site["2002"].dial(f"sip:{site.pbx.pickup}@{PBX}")
    site.talk("trunk", "2002", seconds=8)
    paused = site.pause_and_resume("2002", bobs, "trunk", "2002")
    hang_up(site, "trunk")
    file(site, "pickup", paused)


def test_queue(site: Site) -> None:
    from_outside(site, "2800")
    bobs = site["2002"].pick_up()
    site.talk("trunk", "2002", seconds=10)
    paused = site.pause_and_resume("2002", bobs, "trunk", "2002")
    hang_up(site, "trunk")
    file(site, "queue", paused)


def test_queue_in_which_the_caller_waits(site: Site) -> None:
    from_outside(site, "2800")
    site.recorder.have_say(site["trunk"], BEFORE)
    time.sleep(8)
    bobs = site["2002"].pick_up()
    site.talk("trunk", "2002", seconds=8)
    paused = site.pause_and_resume("2002", bobs, "trunk", "2002")
    hang_up(site, "trunk")
    file(site, "queue, 8 s before an answer", paused)


def test_302_to_nobody_nominated(site: Site) -> None:
    from_outside(site, "2001")
    call = site["2001"].wait_newest("incoming")
    site["2001"].do("answer", call=call, code=302, uri=f"sip:2003@{PBX}")
    _talk_to_zoe(site)
    file(site, "302 to 2003", None)


def test_pickup_by_nobody_nominated(site: Site) -> None:
    from_outside(site, "2001")
    site["2001"].wait_newest("incoming")
    site["2003"].dial(f"sip:{site.pbx.pickup}@{PBX}")
    _talk_to_zoe(site, is_answered=True)
    file(site, "pickup by 2003", None)


def _talk_to_zoe(site: Site, *, is_answered: bool = False) -> None:
    if not is_answered:
        site["2003"].pick_up()
    site.talk("trunk", "2003", seconds=1)  # the PBX says after the answer who is there, some 100 ms later
    site.talk("trunk", "2003", when=PAUSED, seconds=8)
    hang_up(site, "trunk")


def test_busy(site: Site) -> None:
    from_outside(site, "2001")
    call = site["2001"].wait_newest("incoming")
    site["2001"].do("answer", call=call, code=486)
    site["trunk"].wait("the carrier's call is over", lambda phone: set(phone.calls.values()) == {"ended"}, 40)
    assert len(site["2001"].calls) <= 1, "it was rung again"
    file(site, "busy", None)
