"""What the faster methods do is what sippy's own do: on addresses, on whole messages, on responses and timers."""

import functools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sippy.Core.EventDispatcher import ED2
from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipFrom import SipFrom
from sippy.SipRequest import SipRequest
from sippy.SipResponse import SipResponse
from sippy.SipURL import SipURL
from sippy.SipVia import SipVia

from sip import stack_addresses, stack_speed
from sip.message import MalformedMessageError, RawMessage
from sip.message_parser import parse_message
from sip.stack_message import _TYPES, stack_message
from tests.fuzz import seeds

OWN = [None, (("192.0.2.1", 5060), "udp"), (("192.0.2.1", 5070), "udp"), (("[2001:db8::1]", 5061), "tls")]
USERS = st.text(alphabet="ab019+-_.!~*'()&=$,;?/%#: é", max_size=8)
HOSTS = st.sampled_from(["192.0.2.9", "pbx.example", "[2001:db8::9]", "x", "", "a b", "[x", "192.0.2.9:5060"])
PORTS = st.sampled_from(["", ":5060", ":0", ":65536", ":", ":a", ":5060:5060", ":٣"])
PARAMETERS = st.lists(
    st.sampled_from(
        [";lr", ";transport=tcp", ";transport=UDP", ";user=phone", ";ttl=3", ";ttl=x", ";maddr=1.2.3.4", ";ob", ";",
         ";method=INVITE", ";tag=1", ";a=b=c", "?subject=x", ";lr=on", "?x"]
    ),
    max_size=3,
).map("".join)  # fmt: skip
URLS = st.builds(
    lambda scheme, user, at, host, port, parameters: f"{scheme}{user}{at}{host}{port}{parameters}",
    st.sampled_from(["sip:", "sips:", "SIP:", "tel:", "", "http:"]), USERS, st.sampled_from(["@", ""]), HOSTS, PORTS,
    PARAMETERS,
)  # fmt: skip
ADDRESSES = st.builds(
    lambda name, start, url, end, after: f"{name}{start}{url}{end}{after}",
    st.sampled_from(["", "Ann ", '"Ann" ', '"Ann"', '"A \\"B\\" C" ', '"a<b" ', " ", "é ", '""']),
    st.sampled_from(["<", ""]), URLS, st.sampled_from([">", ""]),
    st.sampled_from(["", ";tag=a1", ";tag=", ";tag=a=b", ";x", ";tag=1;tag=2", " ;tag=3", ";q=0.5;tag=é", ";", "x"]),
)  # fmt: skip


@pytest.fixture(autouse=True)
def faster() -> Iterator[None]:
    before = {(owner, name): getattr(owner, name) for owner, name in stack_speed.ORIGINALS}
    stack_speed.install()
    yield
    for (owner, name), method in before.items():
        setattr(owner, name, method)


@contextmanager
def sippys_own() -> Iterator[None]:
    for (owner, name), method in stack_speed.ORIGINALS.items():
        setattr(owner, name, method)
    yield
    stack_speed.install()


def result_of(act: Callable[[], Any]) -> Any:
    """Return what an act returns, or the type of its exception."""
    try:
        return act()
    except Exception as error:  # noqa: BLE001 - sippy's parsers raise anything
        return type(error)


def is_same_in_both(act: Callable[[], Any]) -> Any:
    ours = result_of(act)
    with sippys_own():
        theirs = result_of(act)
    assert ours == theirs
    return ours


PARTS = (
    "scheme", "username", "userparams", "password", "host", "port", "headers", "usertype", "transport", "ttl", "maddr",
    "method", "tag", "other", "lr",
)  # fmt: skip


def all_of(url: Any) -> Any:
    return [getattr(url, part) for part in PARTS], [url.localStr(own) for own in OWN], url.getAddr(), str(url)


@given(URLS)
def test_a_uri_is_read_and_written_as_by_sippy(text: str) -> None:
    def theirs() -> Any:
        return all_of(SipURL(text))

    with sippys_own():
        expected = result_of(theirs)
    assert result_of(lambda: all_of(stack_addresses.parse_url(text))) == expected


@given(ADDRESSES)
def test_an_address_is_read_copied_and_written_as_by_sippy(text: str) -> None:
    def act(kind: type[Any], copies: bool) -> Any:
        field = kind(text)
        if copies:
            field = field.getCopy()
        field.parse()
        found = field.getCopy() if copies else field
        if copies:
            found.getUrl().scheme = field.getUrl().scheme  # sippy's copy of sips: is sip:, which is a fault
        address: SipAddress = found.getUri()
        return [address.name, address.params, address.params_order, address.hadbrace, all_of(address.url)], [
            found.localStr(own) for own in OWN
        ]

    for kind in (SipFrom, SipContact):
        for copies in (False, True):
            is_same_in_both(functools.partial(act, kind, copies))


@pytest.mark.parametrize("url", [SipURL(username="é x"), SipURL(), SipURL(host="h", transport="tcp", lr=True)])
def test_our_own_parts_are_written_as_by_sippy(url: Any) -> None:
    address = SipAddress(name="Ann", url=url)
    is_same_in_both(lambda: [[url.localStr(own), address.localStr(own), SipContact().localStr(own)] for own in OWN])


@pytest.mark.parametrize(
    "text",
    [
        None, "SIP/2.0/UDP 192.0.2.9", "SIP/2.0/TCP [2001:db8::9]:5070;branch=z9hG4bKa;rport", "SIP/2.0/UDP x:7:7",
        "SIP / 2.0 / UDP x;received=1.2.3.4;rport=9;a",
    ],
)  # fmt: skip
def test_a_via_is_written_as_by_sippy(text: str | None) -> None:
    def act() -> Any:
        via = SipVia(text)
        unread = [via.localStr(own) for own in OWN]
        if text is not None:
            via.parse()
        return unread, [via.localStr(own) for own in OWN]

    is_same_in_both(act)


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Return a message with some bytes replaced, removed, doubled, or taken from a list of words."""
    made = bytearray(data)
    for _ in range(dice.randrange(4)):
        at, end = sorted(dice.randrange(len(made) + 1) for _ in "ab")
        end = min(end, at + 12)
        made[at:end] = dice.choice([b"", made[at:end] * 2, dice.choice(seeds.SIP_TOKENS), bytes([dice.randrange(256)])])
    return bytes(made)


def messages() -> Iterator[RawMessage]:
    dice = random.Random(7)
    for data in seeds.SIP:
        for _ in range(12):
            try:
                yield parse_message(mutated(data.replace(b"PORT", b"5071"), dice))
            except MalformedMessageError:
                continue


def read(message: Any) -> Any:
    """Return what a leg reads of a message of sippy's."""
    headers = [header for header in message.headers if header.name in _TYPES]
    unread = [(header.name, header.localStr()) for header in headers]
    parsed = [(header.name, header.getBody().localStr()) for header in headers]
    identity = [result_of(lambda: message.getTId(True, True, True)), result_of(message.getTIds)]
    bodies = [message.countHFs(name) for name in _TYPES], [len(message.getHFBodys(name)) for name in _TYPES]
    return message.getSL(), unread, parsed, identity, bodies, result_of(lambda: message.getHFBody("route").localStr())


def read_from(make: Callable[[Any], Any], source: Any) -> Any:
    return read(make(source))


def test_a_message_is_read_as_by_sippy() -> None:
    looked_at = 0
    for message in messages():
        ours = result_of(functools.partial(read_from, stack_message, message))
        kind = SipRequest if message.status is None else SipResponse
        with sippys_own():
            theirs = result_of(functools.partial(read_from, kind, message.text_for_stack()))
        assert ours == theirs
        looked_at += isinstance(ours, tuple)
    assert looked_at > 100


def test_a_response_is_made_as_by_sippy() -> None:
    for message in messages():
        request = result_of(functools.partial(stack_message, message))
        if not isinstance(request, SipRequest):
            continue

        def act(request: Any = request) -> Any:
            made = request.genResponse(180, "Ringing", server="x")
            unread = made.localStr(OWN[1])
            made.getHFBody("to").setTag("ours")
            return unread, made.localStr(OWN[1]), request.genResponse(487, "Gone", ext_reason="why").localStr()

        is_same_in_both(act)


def test_a_request_and_its_ack_are_made_as_by_sippy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sippy.SipVia.token_hex", lambda count: "0" * count)

    def act() -> Any:
        request = SipRequest(
            method="INVITE",
            ruri=SipURL("sip:1@192.0.2.9"),
            to=SipFrom("<sip:1@x>"),
            fr0m=SipFrom("<sip:2@y>;tag=a"),
            cseq=7,
            callid=None,
            contact=SipContact(),
            user_agent="x",
        )
        ack = request.genACK()
        ack.getHFBody("to").setTag("theirs")
        call_id = request.getHFBody("call-id").localStr()
        return [made.localStr(OWN[1]).replace(call_id, "id") for made in (request, ack, request.genCANCEL(), request)]

    is_same_in_both(act)


def test_timers_end_in_the_same_order() -> None:
    ends: list[list[Any]] = [[], []]
    for found in ends:
        timers = [ED2.regTimer(print, seconds, 1, False, seconds) for seconds in (3, 1, 2)]
        for timer in timers:
            timer.go()
        found += [timer.cb_params for timer in sorted(timers)]
        assert all(timer.etime.monot - timer.itime.monot == pytest.approx(timer.ival) for timer in timers)
        assert all(timer.etime.realt - timer.itime.realt == pytest.approx(timer.ival) for timer in timers)
        for timer in timers:
            timer.cancel()
        for (owner, name), method in stack_speed.ORIGINALS.items():
            setattr(owner, name, method)
    assert ends[0] == ends[1] == [(1,), (2,), (3,)]
