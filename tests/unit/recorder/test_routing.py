"""Peers, routes and emergency numbers."""

import pytest

from recorder.rules.routing import (
    FAILOVER,
    EmergencyNumbers,
    NumberKind,
    Peer,
    Route,
    find_peer,
    find_route,
    in_order,
    routes_to_transfer_target,
)
from sip.options import Address

PBX = Peer(name="pbx", networks=("192.0.2.0/28", "2001:db8::/64"))
TRUNK = Peer(name="trunk", networks=("198.51.100.7",))
ONE, TWO, THREE = (Address(host=f"192.0.2.{n}", port=5060) for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.15", "pbx"),
        ("192.0.2.16", None),
        ("198.51.100.7", "trunk"),
        ("198.51.100.8", None),
        ("2001:db8::1", "pbx"),
        ("2001:db8::1%eth0", "pbx"),
        ("2001:db8:0:1::1", None),
    ],
)
def test_the_address_says_which_peer(host: str, name: str | None) -> None:
    found = find_peer([PBX, TRUNK], host)
    assert (found.name if found else None) == name


def test_the_first_route_that_fits_is_taken() -> None:
    inside = Route(name="in", targets=(ONE,), peer="trunk")
    mobile = Route(name="mobile", targets=(TWO,), number="07")
    rest = Route(name="rest", targets=(THREE,), peer="pbx")
    routes = (inside, mobile, rest)
    assert find_route(routes, peer="trunk", number="0712") is inside
    assert find_route(routes, peer="pbx", number="0712") is mobile
    assert find_route(routes, peer="pbx", number="2001") is rest
    assert find_route(routes, peer=None, number="0712") is mobile
    assert find_route(routes, peer=None, number="2001") is None


CARRIER = Address(host="198.51.100.7", port=5060)
IN = Route(name="in", targets=(ONE,), peer="trunk", number="01632", strip=7)
OUT = Route(name="out", targets=(CARRIER,), peer="pbx", prefix="9")
AS_IT_IS = Route(name="in", targets=(ONE,), peer="trunk", number="01632")


@pytest.mark.parametrize(
    ("number", "kind", "expected"),
    [
        ("2002", NumberKind.OURS, (AS_IT_IS,)),
        ("01632960202", NumberKind.OURS, (AS_IT_IS,)),
        ("4000", NumberKind.UNKNOWN, (AS_IT_IS, OUT)),
        ("07700900123", NumberKind.UNKNOWN, (OUT,)),
        ("01632960202", NumberKind.UNKNOWN, (OUT,)),
        ("+441", NumberKind.UNKNOWN, (OUT,)),
        ("0999", NumberKind.UNKNOWN, (OUT,)),
        ("22", NumberKind.UNKNOWN, (OUT,)),
        ("999", NumberKind.EMERGENCY, (OUT,)),
    ],
)
def test_a_newcomer_who_may_be_inside_is_called_there(
    number: str, kind: NumberKind, expected: tuple[Route, ...]
) -> None:
    def leads_inside(route: Route) -> bool:
        return PBX.has(route.targets[0].host)

    found = routes_to_transfer_target([OUT, IN], peer="pbx", number=number, kind=kind, leads_inside=leads_inside)
    assert found == expected


def test_one_way_for_all_is_the_way_to_a_newcomer() -> None:
    only = Route(name="default", targets=(ONE,), strip=1)
    found = routes_to_transfer_target(
        [OUT, only], peer="other", number="2002", kind=NumberKind.OURS, leads_inside=lambda route: route is only
    )
    assert found == (only,), "its rules are for the numbers of whoever asks"
    assert (
        routes_to_transfer_target([], peer="pbx", number="2002", kind=NumberKind.OURS, leads_inside=lambda _: True)
        == ()
    )


def test_what_is_dialled() -> None:
    assert Route(name="r", targets=(ONE,), strip=1, prefix="+44").dialled("01632960123") == "+441632960123"
    assert Route(name="r", targets=(ONE,)).dialled("2001") == "2001"


@pytest.mark.parametrize(
    "number", ["999", "112", "18000", "9999", "0112", "+44999", "0044999", "+112", "9-99", "1 1 2", "9.999"]
)
def test_emergency_numbers(number: str) -> None:
    assert EmergencyNumbers().has(number)


@pytest.mark.parametrize("number", ["", "99", "9990", "99999", "1999", "00999", "01632960999", "2001"])
def test_what_is_no_emergency_number(number: str) -> None:
    assert not EmergencyNumbers().has(number)


def test_a_councils_own_emergency_numbers() -> None:
    numbers = EmergencyNumbers(numbers=("100",), access_prefixes=())
    assert numbers.has("100")
    assert not numbers.has("999")
    assert not numbers.has("9100")


def test_dead_targets_come_last_but_stay() -> None:
    assert in_order((ONE, TWO, THREE), frozenset({ONE})) == (TWO, THREE, ONE)
    assert in_order((ONE, TWO), frozenset({ONE, TWO})) == (ONE, TWO)


def test_busy_and_declined_speak_of_the_person() -> None:
    assert not FAILOVER & {404, 480, 486, 487, 600, 603}
