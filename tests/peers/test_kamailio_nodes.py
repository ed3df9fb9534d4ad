"""Two recorders behind Kamailio: which has which call, and what happens when one drains or dies, or none is left."""

import itertools
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.helpers.exchange import user_of
from tests.helpers.kamailio import PATIENT, UNASKED, kamailio
from tests.helpers.kamailio_site import KAMAILIO, TRUNK, KamailioSite
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually
from tests.helpers.sip_peer import Answer, Call, Message

pytestmark = [pytest.mark.peer, pytest.mark.cluster]
SCENARIO = Path(__file__).parent / "scenarios" / "uac_by_routes.xml"
NUMBERS = [str(number) for number in range(4000, 4012)]
"""Numbers that are not nominated, so that a call is answered at once and costs little."""
BUSY = "4999"
_callers = itertools.count(1)


class Site(KamailioSite):
    """A site with two recorders, where calls to 2001 must be recorded."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ["north", "south"], answer=_answer, always={"MUST_BE_RECORDED": '"^2001$"'})

    @property
    def north(self) -> RecorderHome:
        return self.homes[0]

    @property
    def south(self) -> RecorderHome:
        return self.homes[1]

    def place(self, number: str) -> tuple[str, Call]:
        """Place a call; return the caller's number and their leg."""
        name = f"0163298{next(_callers):04d}"
        return name, self.caller.invite(self.proxy.address, number, from_number=name)

    def connect(self, number: str) -> tuple[Call, Call]:
        """Place a call that is answered; return both legs."""
        name, first = self.place(number)
        first.wait_confirmed(HANGS_S)
        return first, self.arrived(name)

    def taken(self) -> tuple[int, int]:
        """Return how many calls north and south were offered since their starts."""
        north, south = (home.health()["counts"]["offered"] for home in (self.north, self.south))
        return north, south

    def wait_for_both(self) -> None:
        """Wait until Kamailio gives new calls to both."""
        both = {self.north.sip, self.south.sip}
        eventually(lambda: self.proxy.gives_calls_to() == both, "both get new calls")

    def call_each(self) -> list[float]:
        """Have a call to each number answered by way of a recorder and ended; return how long each answer took."""
        waits = []
        for number in NUMBERS:
            at = time.monotonic()
            first, second = self.connect(number)
            assert second.invite.value("X-Not-Recorded") == ""
            waits.append(time.monotonic() - at)
            hang_up(first)
        return waits

    def call_all(self) -> tuple[int, int]:
        """Have a call to each number answered and ended; return how many of the offers were north's and south's."""
        north, south = self.taken()
        self.call_each()
        now_north, now_south = self.taken()
        return now_north - north, now_south - south


def hang_up(call: Call) -> None:
    call.hang_up()
    call.wait_ended(HANGS_S)


def _answer(invite: Message) -> Answer:
    return Answer(status=503) if invite.uri.startswith(f"sip:{BUSY}@") else Answer(after_s=0.02)


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """All but Kamailio, which goes on until a test wants one with other names."""
    with Site(tmp_path_factory.mktemp("nodes")) as made:
        yield made


@pytest.fixture
def site(parties: Site) -> Site:
    """With a Kamailio that does not take a recorder for dead that gets no CPU for a moment."""
    return parties.fronted(PATIENT)


def test_each_extension_has_its_recorder_and_both_have_some(site: Site) -> None:
    first = site.call_all()
    assert sum(first) == len(NUMBERS)
    assert min(first) >= 2
    assert site.call_all() == first


def test_calls_of_sipp_to_one_number_go_to_each_in_turn_where_the_site_says_so(site: Site, tmp_path: Path) -> None:
    """An independent stack: its ACK, re-INVITE and BYE find the recorder of the call by the route set."""
    front, trunk = (KAMAILIO, free_port()), (TRUNK, free_port())
    before = site.taken()
    with kamailio(
        tmp_path, address=front, trunk=trunk, pbx=site.officer.address, recorders=[site.north.sip, site.south.sip],
        defined={"ALGORITHM": '"4"', **PATIENT},
    ):  # fmt: skip
        call = ["sipp", "-sf", str(SCENARIO), "-s", NUMBERS[0], "-m", "10", "-r", "10", "-timeout", f"{HANGS_S:g}"]
        command = [*call, "-i", trunk[0], "-p", str(trunk[1]), "-nostdin", "{}:{}".format(*front)]
        done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert [now - then for now, then in zip(site.taken(), before, strict=True)] == [5, 5]


def test_what_the_called_party_refuses_is_tried_at_one_recorder_only(site: Site) -> None:
    before = sum(site.taken())
    _, call = site.place(BUSY)
    call.wait_ended(HANGS_S)
    # Kamailio passes a 503 on as 500 (RFC 3261 section 16.7).
    assert (call.status, sum(site.taken()) - before) == (500, 1)


def test_a_drain_leads_new_calls_to_the_other_and_leaves_calls_in_progress(site: Site) -> None:
    standing = [site.connect(number) for number in NUMBERS]
    live = site.north.health()["drain"]["calls"]
    assert 0 < live < len(NUMBERS)
    site.north.act("/api/drain").raise_for_status()
    refused, south = site.call_all()
    assert south == len(NUMBERS)
    assert refused <= live, "each is tried there once at most, until OPTIONS say that it drains"
    eventually(lambda: site.proxy.gives_calls_to() == {site.south.sip}, "Kamailio knows of the drain")
    assert site.call_all() == (0, len(NUMBERS))
    for first, second in standing:
        first.offer(first.media)
        first.wait_for(lambda call: call.replies_to("INVITE")[-1:] == [200] and len(call.replies_to("INVITE")) > 1)
        (second if first is standing[0][0] else first).hang_up()
        for leg in (first, second):
            leg.wait_ended(HANGS_S)
            assert leg.ended_by != "timeout"
    eventually(lambda: site.north.health()["drain"]["calls"] == 0, "its calls have ended")
    site.north.act("/api/drain/cancel").raise_for_status()
    site.wait_for_both()
    assert site.call_all()[0] >= 2, "it has its extensions again"


def test_when_one_is_killed_every_call_goes_to_the_other(parties: Site) -> None:
    silence_s = 4.0
    site = parties.fronted({**UNASKED, "SILENCE_MS": f"{1000 * silence_s:.0f}"})
    site.north.kill()
    assert max(site.call_each()) > silence_s / 2, "one was tried at the dead one first, and waited for it"
    assert site.proxy.gives_calls_to() == {site.south.sip}
    site.north.start()


def test_one_that_is_killed_is_found_out_without_a_call_and_has_its_extensions_again_later(parties: Site) -> None:
    site = parties.fronted({**PATIENT, "PING_MS": "3000"})
    before = site.south.health()["counts"]["offered"]
    site.north.kill()
    eventually(lambda: site.proxy.gives_calls_to() == {site.south.sip}, "Kamailio knows that it is dead")
    site.call_each()
    assert site.south.health()["counts"]["offered"] - before == len(NUMBERS)
    site.north.start()
    # OPTIONS that were sent to the dead one may still end without an answer.
    eventually(lambda: site.call_all()[0] >= 2, "it has its extensions again")


def test_when_none_is_left_calls_are_listed_and_go_on_or_are_refused_by_the_rule(parties: Site) -> None:
    site = parties.fronted({})
    assert site.proxy.listed() == [], "no call has gone round so far"
    site.north.kill()
    site.south.kill()
    name, first = site.place("2002")
    first.wait_confirmed(HANGS_S)
    assert site.arrived(name).invite.value("X-Not-Recorded") == "no recorder"
    hang_up(first)
    _, second = site.place("2001")
    second.wait_ended(HANGS_S)
    assert second.status == 503
    refusal = [message for message in second.received if message.status == 503][-1]
    assert refusal.value("Retry-After") == "", "the trunk goes on to send other calls"
    emergency = site.officer.invite(site.proxy.address, "999", from_number="2001")
    emergency.wait_ended(HANGS_S)
    assert user_of(site.caller.incoming()[-1].invite) == "2001", "emergency calls need no recorder"
    out = site.officer.invite(site.proxy.address, "01632970000", from_number="2002")
    out.wait_ended(HANGS_S)
    listed = site.proxy.listed()
    assert {one.call_id: (one.is_refused, one.direction, one.extension) for one in listed} == {
        first.call_id: (False, "in", "2002"),
        second.call_id: (True, "in", "2001"),
        out.call_id: (False, "out", "2002"),
    }
    assert all(abs(one.at.timestamp() - time.time()) < 600 for one in listed)
    written = "".join(path.read_text() for path in site.proxy.bypassed.iterdir())
    for outside in (name, "01632970000"):
        assert outside not in written + site.proxy.said, "no number of a party outside is left behind"
    site.proxy.rotate()
    first, _ = site.connect("2002")
    hang_up(first)
    assert len(list(site.proxy.bypassed.glob("*.log"))) == 1
    assert len(site.proxy.listed()) == 4, "the moved files keep their lines"
