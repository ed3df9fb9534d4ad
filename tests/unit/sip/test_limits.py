"""How much of what a source sends is taken, and whose acts in a dialog are."""

import pytest

from sip.limits import (
    MAX_BACKLOG,
    MAX_BACKLOG_OF_SOURCE,
    MAX_SOURCES,
    REPORT_AGAIN_S,
    REPORTS_BURST,
    URGENT_RESERVE,
    Backlog,
    Bucket,
    DialogMatch,
    Intake,
    MessageVerdict,
    Peers,
)
from sip.message import RawMessage, refusal, reply_port
from sip.message_parser import parse_message
from sip.options import Address, PeerLimits, TransportKind
from sip.signalled_address import SignalledAddress

TRUNK, PBX = (
    PeerLimits(networks=("192.0.2.0/24",), calls_per_s=2.0, requests_per_s=1.0),
    PeerLimits(networks=("198.51.100.7/32", "2001:db8::/64")),
)


def request(
    method: str = "INVITE", *, number: str = "2001", to_tag: str = "", via: str = "192.0.2.1:5070"
) -> RawMessage:
    return parse_message(
        (
            f"{method} sip:{number}@rec SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKx\r\nVia: SIP/2.0/UDP b\r\n"
            f"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>{';tag=' + to_tag if to_tag else ''}\r\nCall-ID: c\r\n"
            f"CSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
        ).encode()
    )


class Watcher:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.intake = Intake(
            Peers([TRUNK, PBX]), is_urgent="999".__eq__, report=lambda kind, source: self.said.append((kind, source))
        )

    def decide(
        self,
        message: RawMessage,
        now_s: float = 100.0,
        *,
        source: str = "192.0.2.1",
        match: DialogMatch = DialogMatch.NEW,
    ) -> MessageVerdict:
        return self.intake.decide(message, match, source, now_s)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(2.0, 3)
    assert [bucket.takes(10.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.takes(10.4)
    assert bucket.takes(10.5)
    assert not bucket.takes(10.5)
    assert [bucket.takes(1000.0) for _ in range(4)] == [True, True, True, False]


def test_calls_over_the_limit_are_answered_503_then_dropped_and_said_once() -> None:
    watcher = Watcher()
    verdicts = [watcher.decide(request()) for _ in range(14)]
    assert verdicts == [MessageVerdict.ADMIT] * 10 + [MessageVerdict.BUSY] * 2 + [MessageVerdict.DROP] * 2
    assert watcher.said == [("rate_limited", "192.0.2.1")]
    assert watcher.intake.counters["rate_limited"] == 4
    assert watcher.decide(request(), 100.6) is MessageVerdict.ADMIT, "tokens come back"
    assert watcher.decide(request(), source="192.0.2.2") is MessageVerdict.ADMIT, "each address has its own"
    assert watcher.decide(request(), 101.0 + REPORT_AGAIN_S, source="192.0.2.1") is MessageVerdict.ADMIT


def test_a_flood_of_requests_takes_no_tokens_of_calls() -> None:
    watcher = Watcher()
    for _ in range(50):
        watcher.decide(request("OPTIONS"))
        watcher.decide(request("BYE", to_tag="gone"))
        watcher.decide(request("INVITE", to_tag="gone"))
    assert watcher.decide(request()) is MessageVerdict.ADMIT


def test_what_is_ours_is_never_limited_nor_is_an_emergency_call() -> None:
    watcher = Watcher()
    for _ in range(100):
        watcher.decide(request())
    assert all(
        watcher.decide(request("BYE", to_tag="1"), match=DialogMatch.KNOWN) is MessageVerdict.ADMIT for _ in range(500)
    )
    assert all(watcher.decide(request(number="999")) is MessageVerdict.ADMIT for _ in range(500))
    assert watcher.decide(request(number="9991")) is MessageVerdict.DROP


def test_acts_of_another_peer_are_forbidden_counted_and_said_once() -> None:
    watcher = Watcher()
    verdicts = [watcher.decide(request("BYE", to_tag="1"), match=DialogMatch.FOREIGN) for _ in range(5)]
    assert verdicts == [MessageVerdict.FORBID] * 2 + [MessageVerdict.DROP] * 3
    assert watcher.decide(request("ACK", to_tag="1"), 200.0, match=DialogMatch.FOREIGN) is MessageVerdict.DROP
    assert watcher.intake.counters["foreign"] == 6
    assert watcher.said == [("foreign", "192.0.2.1")]


def test_a_flood_of_acks_and_responses_to_nothing_is_never_answered() -> None:
    watcher = Watcher()
    stray = parse_message(
        b"SIP/2.0 200 OK\r\nVia: x\r\nFrom: a;tag=1\r\nTo: b;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n"
    )
    verdicts = {watcher.decide(message) for message in [stray, request("ACK", to_tag="1")] * 20}
    assert verdicts == {MessageVerdict.ADMIT, MessageVerdict.DROP}
    assert watcher.intake.counters["stray"] == 35


def test_made_up_sources_share_one_bucket_and_few_words() -> None:
    watcher = Watcher()
    for index in range(MAX_SOURCES + 2000):
        watcher.decide(request(), source=f"203.0.{index // 250}.{index % 250}")
    assert len(watcher.intake._sources) == MAX_SOURCES
    assert any(count for count in watcher.intake.counters.values())
    for index in range(4000):
        watcher.intake.report("malformed", str(index), 100.0)
    assert len(watcher.said) <= REPORTS_BURST
    assert len(watcher.intake._reported) <= 256


@pytest.mark.parametrize(
    ("source", "known", "may"),
    [
        ("192.0.2.9", {"192.0.2.1"}, True),
        ("198.51.100.7", {"192.0.2.1"}, False),
        ("198.51.100.7", {"192.0.2.1", "198.51.100.7"}, True),
        ("2001:db8::5", {"198.51.100.7"}, True),
        ("203.0.113.1", {"192.0.2.1"}, False),
        ("203.0.113.1", {"203.0.113.1"}, True),
        ("192.0.2.9", {"pbx.example"}, False),
        ("fe80::1%eth0", {"192.0.2.1"}, False),
    ],
)
def test_who_may_act_in_a_dialog(source: str, known: set[str], may: bool) -> None:
    places = {SignalledAddress(host=host, port=5060) for host in known}
    assert Peers([TRUNK, PBX]).may_act(Address(host=source), "BYE", places) is may


UDP, TCP, TLS = (Address(host="192.0.2.1", port=5060, transport=kind) for kind in TransportKind)
ELSEWHERE = Address(host="192.0.2.1", port=5062)
NEIGHBOUR = Address(host="192.0.2.9", port=5062)


@pytest.mark.parametrize(
    ("source", "method", "place", "may"),
    [
        (UDP, "INFO", SignalledAddress.named(UDP), True),
        (ELSEWHERE, "INFO", SignalledAddress.named(UDP), False),
        (ELSEWHERE, "INVITE", SignalledAddress.named(UDP), False),
        (NEIGHBOUR, "BYE", SignalledAddress.named(UDP), False),
        (ELSEWHERE, "INFO", SignalledAddress(host=UDP.host), True),
        (TCP, "INVITE", SignalledAddress.named(UDP), True),
        (TCP, "INFO", SignalledAddress.named(UDP), False),
        (TCP, "INFO", SignalledAddress.named(TCP), True),
        (TLS, "REFER", SignalledAddress.named(TCP), True),
        (UDP, "INFO", SignalledAddress.named(TCP), False),
    ],
)
def test_from_which_port_and_transport(source: Address, method: str, place: SignalledAddress, may: bool) -> None:
    assert Peers([TRUNK]).may_act(source, method, {place}) is may
    anywhere = PeerLimits(networks=TRUNK.networks, any_port=True)
    assert Peers([anywhere]).may_act(source, method, {place}) is True


def test_a_refusal_keeps_no_state_and_answers_every_retransmission_the_same() -> None:
    message = request()
    said = refusal(message, 503, "Service Unavailable", headers=(("Retry-After", "5"),))
    assert said == refusal(message, 503, "Service Unavailable", headers=(("Retry-After", "5"),))
    answer = parse_message(said)
    assert (answer.status, answer.method, answer.cseq, answer.call_id) == (503, "INVITE", 7, "c")
    assert answer.values("via") == message.values("via")
    assert answer.tag("to")
    assert answer.value("retry-after") == "5"
    assert parse_message(refusal(request("BYE", to_tag="t"), 403, "Forbidden")).tag("to") == "t"


@pytest.mark.parametrize(
    ("via", "port"),
    [
        ("192.0.2.1:5070", 5070),
        ("192.0.2.1", 5060),
        ("192.0.2.1:5070;rport", 4444),
        ("[2001:db8::1]:5071", 5071),
        ("pbx.example:0", 4444),
        ("pbx.example:999999", 4444),
    ],
)
def test_where_a_refusal_goes(via: str, port: int) -> None:
    assert reply_port(request(via=via), 4444) == port


def test_the_backlog_has_room_for_other_sources_and_for_emergencies() -> None:
    backlog = Backlog()
    assert all(backlog.enter("a", is_urgent=lambda: False) for _ in range(MAX_BACKLOG_OF_SOURCE))
    assert not backlog.enter("a", is_urgent=lambda: False)
    rest = MAX_BACKLOG - MAX_BACKLOG_OF_SOURCE
    assert all(backlog.enter("b", is_urgent=lambda: False) for _ in range(rest))
    assert not backlog.enter("c", is_urgent=lambda: False)
    assert all(backlog.enter("c", is_urgent=lambda: True) for _ in range(URGENT_RESERVE))
    assert not backlog.enter("c", is_urgent=lambda: True)
    for _ in range(URGENT_RESERVE + 1):
        backlog.leave("c" if _ else "b")
    assert backlog.enter("c", is_urgent=lambda: False)
