"""Where a host name leads (RFC 3263): the order of SRV records (RFC 2782), and the names to ask for. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sip.options import TransportKind

SERVICES = {TransportKind.UDP: "_sip._udp.", TransportKind.TCP: "_sip._tcp."}
"""What stands before a domain in the name of its SRV records, by what the target is reached over."""

MOST_TARGETS = 8
"""Addresses that one name gives: each may cost a caller two seconds of silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrvTarget:
    """One way to reach a name: an address of an SRV record's target, or an address without a record (priority 0)."""

    priority: int = 0
    weight: int = 0
    host: str
    port: int


def ordered(records: Iterable[SrvTarget], pick: Callable[[int], int]) -> list[SrvTarget]:
    """Return records in the order in which they are tried (RFC 2782).

    Args:
        records: In any order.
        pick: Gives a number in [0, n] for n, each as likely as the other: the weights share the calls out.
    """
    found = []
    by_priority: dict[int, list[SrvTarget]] = {}
    for record in records:
        by_priority.setdefault(record.priority, []).append(record)
    for _, left in sorted(by_priority.items()):
        left.sort(key=lambda record: record.weight)  # those of weight 0 first: they have a small chance
        while left:
            chosen, passed = pick(sum(record.weight for record in left)), 0
            for at, record in enumerate(left):
                passed += record.weight
                if passed >= chosen:
                    found.append(left.pop(at))
                    break
    return found[:MOST_TARGETS]
