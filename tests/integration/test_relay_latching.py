"""Which source is heard at a leg: the signalled address first, another one only while nothing comes from there.

Real sockets, and a clock that the test turns: every packet arrives exactly when the test says.
"""

from collections.abc import Iterator

import pytest

from audio.types import Codec, DigitPressed, LegMedia
from tests.helpers.turned_line import FRAME, MS, START_NS, Line, Source, turned_relay, two_addresses
from tests.reference.rtp import TelephoneEvent, build_event


@pytest.fixture
def line() -> Iterator[Line]:
    with turned_relay() as relay:
        yield Line(relay)


@pytest.fixture
def sources() -> Iterator[tuple[Source, Source, Source]]:
    made = (Source(0x11), Source(0x22), Source(0x33, "127.0.0.9"))
    yield made
    for source in made:
        source.socket.close()


Sources = tuple[Source, Source, Source]


@pytest.fixture
def recorded(line: Line, sources: Sources) -> Sources:
    """Let the first source be the one whose address is signalled, and record what is heard."""
    line.listen(sources[0])
    line.open_tap()
    return sources


def test_what_another_sent_is_taken_back_when_the_signalled_address_speaks(line: Line, recorded: Sources) -> None:
    client, stale, _ = recorded
    line.pass_ms(3000, stale)
    assert line.relay.legs.statistics(line.leg).received == 150, "nothing comes from there, so another is heard"
    assert line.refused == []
    line.pass_ms(1000, stale, client)
    (first,) = line.refused
    assert (first.leg, first.ip, first.port, first.packets) == (line.leg, stale.ip, stale.port, 151)
    assert line.relay.legs.statistics(line.leg).refused == 200
    assert line.relay.counters()["refused"] == 200
    line.pass_ms(3000, client)
    assert line.kept() == {client.value: 200 * FRAME}, "no byte of the other, and all of the client"


def test_the_signalled_address_is_heard_though_another_has_run_far_ahead(line: Line, recorded: Sources) -> None:
    client, stale, _ = recorded
    for _ in range(30):  # three times as fast as it is said
        for at_ms in range(3):
            line.send(stale)
            line.now_ms += 20 if at_ms == 2 else 0
    line.pass_ms(400, client)
    assert line.kept() == {client.value: 20 * FRAME}


def test_a_payload_type_that_was_not_settled_makes_nobody_heard(line: Line, recorded: Sources) -> None:
    _, stray, phone = recorded
    line.pass_ms(500, stray, payload_type=0)
    for _ in range(25):
        line.send(stray, 0)
        line.send(phone)
        line.now_ms += 20
    assert line.kept() == {phone.value: 25 * FRAME}, "a phone behind a NAT, whose address nobody could signal"
    assert [(one.ip, one.port) for one in line.refused] == [(stray.ip, stray.port)]
    assert line.relay.legs.statistics(line.leg).refused == 50


def test_a_source_that_goes_quiet_makes_room_for_the_next(line: Line, recorded: Sources) -> None:
    _, first, second = recorded
    line.pass_ms(500, first)
    line.pass_ms(960)
    line.send(second)
    assert line.relay.legs.statistics(line.leg).received == 25, "a second has not passed since the newest of the first"
    line.pass_ms(6000)
    line.pass_ms(400, second)
    assert line.kept() == {first.value: 25 * FRAME, second.value: 20 * FRAME}


def test_a_source_that_changes_its_port_is_heard_again_after_a_second(line: Line, recorded: Sources) -> None:
    _, first, second = recorded
    line.pass_ms(500, first)
    line.pass_ms(1000)
    line.pass_ms(400, second)
    assert line.kept() == {first.value: 25 * FRAME, second.value: 20 * FRAME}


def test_who_sends_while_the_signalled_address_does_is_not_heard_in_its_silence(line: Line, recorded: Sources) -> None:
    client, stray, moved = recorded
    line.pass_ms(500, client, stray)
    line.pass_ms(4000, stray)
    line.pass_ms(400, client, stray)
    line.pass_ms(1000)
    line.pass_ms(400, moved)
    counts = line.kept()
    assert counts == {client.value: 45 * FRAME, moved.value: 20 * FRAME}, "the client has begun to send from elsewhere"


def test_comfort_noise_is_a_sign_of_life(line: Line, recorded: Sources) -> None:
    client, stray, _ = recorded
    line.pass_ms(500, client)
    for _ in range(10):
        line.send(client, 13, b"\x40")
        line.pass_ms(400, stray)
    assert line.kept() == {client.value: 25 * FRAME}


def test_a_re_offer_keeps_who_is_heard_and_another_address_begins_anew(line: Line, recorded: Sources) -> None:
    client, phone, other = recorded
    line.pass_ms(500, phone)
    line.listen(client)
    line.pass_ms(200, other, phone)
    line.listen(None)
    line.pass_ms(200, other, phone)
    assert line.relay.legs.statistics(line.leg).received == 45
    line.listen(other)
    line.pass_ms(200, phone)
    line.pass_ms(200, phone, other)
    assert line.kept() == {phone.value: 45 * FRAME, other.value: 10 * FRAME}


def test_nobody_begins_to_be_heard_on_hold(line: Line, recorded: Sources) -> None:
    client, stray, _ = recorded
    line.pass_ms(500, client)
    line.listen(client, receives=False)
    line.pass_ms(5000, stray)
    line.listen(client)
    line.pass_ms(60, stray)
    assert line.relay.legs.statistics(line.leg).received == 25, "nor is it heard at once when the hold ends"
    line.pass_ms(400, client, stray)
    assert line.kept() == {client.value: 45 * FRAME}


def test_a_listening_line_without_an_address_hears_who_comes_first(line: Line, sources: Sources) -> None:
    _, first, second = sources
    line.listen(None)
    line.open_tap()
    line.pass_ms(400, first, second)
    assert line.kept() == {first.value: 20 * FRAME}


def test_only_networks_of_the_client_are_heard(line: Line, sources: Sources) -> None:
    client, near, far = sources
    line.listen(client, ("127.0.0.0/30",))
    line.open_tap()
    line.pass_ms(400, far)
    line.pass_ms(400, near)
    assert line.kept() == {near.value: 20 * FRAME}
    assert line.relay.legs.statistics(line.leg).refused == 20


@pytest.fixture
def bridged(line: Line) -> Iterator[tuple[Line, Source, Source, Source]]:
    """A leg whose peer has two addresses, the party that it is bridged with, and both addresses."""
    signalled, also = two_addresses(0x11, "127.0.0.2", 0x22, "127.0.0.1")
    hearer = Source(0x44)
    other = line.relay.open_leg()
    plain = LegMedia(
        remote=hearer.address, codec=Codec.PCMA, send_pt=8, receive_pt=8, send_event_pt=101, receive_event_pt=101
    )
    line.relay.set_media(other, plain)
    media = LegMedia(
        remote=signalled.address, codec=Codec.PCMA, send_pt=8, receive_pt=8, send_event_pt=101, receive_event_pt=101,
        also_from="127.0.0.1",
    )  # fmt: skip
    line.relay.set_media(line.leg, media)
    line.relay.bridge(line.leg, other)
    line.open_tap(other)
    yield line, signalled, also, hearer
    for source in (signalled, also, hearer):
        source.socket.close()


Bridged = tuple[Line, Source, Source, Source]


def test_nobody_is_relayed_before_the_signalled_address_was_silent_for_200_ms(bridged: Bridged) -> None:
    line, signalled, also, hearer = bridged
    line.pass_ms(200, also)
    assert hearer.heard() == set()
    line.pass_ms(200, also)
    assert hearer.heard() == {also.value}
    line.send(signalled)
    line.pass_ms(200, also)
    assert hearer.heard() == {signalled.value}
    line.pass_ms(400, signalled, also)
    assert hearer.heard() == {signalled.value}
    assert line.kept() == {signalled.value: 21 * FRAME}


def test_keys_of_a_source_that_is_not_proven_are_none(bridged: Bridged) -> None:
    line, _, also, hearer = bridged
    event = build_event(TelephoneEvent(event=5, is_end=True, volume=10, duration=800))
    line.send(also, 101, event)
    line.pass_ms(200, also)
    assert not any(isinstance(one, DigitPressed) for one in line.relay.events())
    line.send(also, 101, event)
    line.relay.turn(START_NS + (line.now_ms + 20) * MS)
    assert [one.digit for one in line.relay.events() if isinstance(one, DigitPressed)] == ["5"]
    assert hearer.heard() == {5}


def test_another_port_is_never_heard_on_a_bridged_leg(bridged: Bridged) -> None:
    line, signalled, _, hearer = bridged
    stale = Source(0x66)
    line.pass_ms(2000, stale)
    line.pass_ms(200, stale, signalled)
    assert hearer.heard() == {signalled.value}
    assert [(one.ip, one.port) for one in line.refused] == [(stale.ip, stale.port)], "not a line for each packet"
    assert line.kept() == {signalled.value: 10 * FRAME}
    stale.socket.close()


def test_refusals_are_told_every_ten_seconds(line: Line, sources: Sources) -> None:
    client, stray, _ = sources
    line.listen(client, ("192.0.2.0/24",))
    line.pass_ms(30_500, stray)
    assert [one.packets for one in line.refused] == [1, 501, 1001, 1501]


def test_a_client_that_goes_on_from_elsewhere_without_a_gap_is_heard_after_a_second(
    line: Line, recorded: Sources
) -> None:
    client, moved, _ = recorded
    line.pass_ms(500, client)
    line.pass_ms(8000, moved)
    kept = line.kept()
    assert kept[client.value] == 25 * FRAME
    assert kept[moved.value] >= (400 - 50) * FRAME, "nothing has come from the signalled address since"


def test_a_latched_source_that_goes_on_from_another_port_without_a_gap_is_heard_after_a_second(
    line: Line, recorded: Sources
) -> None:
    _, first, second = recorded
    line.pass_ms(500, first)
    line.pass_ms(3000, second)
    kept = line.kept()
    assert kept[first.value] == 25 * FRAME
    assert kept[second.value] >= (150 - 50) * FRAME


def test_a_rival_is_heard_once_the_signalled_address_was_silent_for_five_seconds(line: Line, recorded: Sources) -> None:
    client, other, _ = recorded
    line.pass_ms(500, client, other)
    line.pass_ms(4960, other)
    assert line.relay.legs.statistics(line.leg).received == 25
    line.pass_ms(1000, other)
    assert line.relay.legs.statistics(line.leg).received >= 25 + 48


@pytest.mark.parametrize(("payload_type", "payload"), [(13, b"\x40"), (8, b"")], ids=["comfort noise", "keep-alive"])
def test_a_sign_of_life_takes_nothing_back_from_who_is_heard(
    line: Line, recorded: Sources, payload_type: int, payload: bytes
) -> None:
    client, phone, _ = recorded
    line.pass_ms(5000, phone)
    line.send(client, payload_type, payload)
    line.pass_ms(2000, phone)
    assert line.kept() == {phone.value: 350 * FRAME}
    assert line.refused == []


def test_one_packet_from_the_signalled_address_keeps_nobody_out_for_good(line: Line, recorded: Sources) -> None:
    client, phone, _ = recorded
    line.pass_ms(2000, phone)
    line.send(client)
    line.pass_ms(2000, phone)
    assert line.kept()[phone.value] >= 45 * FRAME


def test_more_rivals_than_are_remembered_are_kept_out_all_the_same(line: Line, sources: Sources) -> None:
    client = sources[0]
    strays = [Source(0x51 + i) for i in range(6)]
    line.listen(client)
    line.open_tap()
    line.pass_ms(500, client, *strays)
    line.pass_ms(4000, *strays)
    line.pass_ms(400, client, *strays)
    for stray in strays:
        stray.socket.close()
    assert line.kept() == {client.value: 45 * FRAME}
