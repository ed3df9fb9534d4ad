"""SRV order: the order in which the servers of a domain are tried (RFC 2782, RFC 3263). Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sip.options import TransportKind

SERVICES = {TransportKind.UDP: "_sip._udp.", TransportKind.TCP: "_sip._tcp."}
"""Prefix of a domain in the name of its SRV records, by transport."""

MOST_TARGETS = 8
"""Most addresses of one name that are tried: each may cost a caller two seconds of silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrvTarget:
    """An address of a name: of an SRV record's target, or without SRV records of the name itself (priority 0)."""

    priority: int = 0
    weight: int = 0
    host: str
    port: int


def ordered(records: Iterable[SrvTarget], pick: Callable[[int], int]) -> list[SrvTarget]:
    """Return records in the order in which they are tried (RFC 2782).

    Args:
        records: In any order.
        pick: Returns a random number in [0, n] for n, by which calls are distributed by weight.
    """
    found = []
    by_priority: dict[int, list[SrvTarget]] = {}
    for record in records:
        by_priority.setdefault(record.priority, []).append(record)
    for _, left in sorted(by_priority.items()):
        left.sort(key=lambda record: record.weight)  # weight 0 comes first and is chosen rarely
        while left:
            chosen, passed = pick(sum(record.weight for record in left)), 0
            for at, record in enumerate(left):
                passed += record.weight
                if passed >= chosen:
                    found.append(left.pop(at))
                    break
    return found[:MOST_TARGETS]
