"""How much the console does for one person, token or address, and what of made-up tokens gets into the audit log."""

from typing import Any

import pytest

from recorder.access.tokens import TokenRefused
from recorder.common.network_sources import source_of
from recorder.common.problems import ProblemError
from recorder.rules.limits import Rates
from recorder.web.rates import KNOWN_FOR_S, RateLimits, RequestKind, kind_of
from recorder.web.refused_tokens import EACH, MOST, WINDOW_S, RefusedTokens
from recorder.web.throttle import MOST_BUCKETS

HOST = "192.0.2.1"


class Seconds:
    """A monotonic clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def limits(clock: Seconds, **rates: float) -> RateLimits:
    return RateLimits(Rates(**{"requests_per_s": 2.0, "acts_per_s": 2.0, **rates}), clock)


def asks(limited: RateLimits, who: str, kind: RequestKind, host: str = HOST) -> int | None:
    """Ask once as a request does; returns the status of its refusal, None for none."""
    refusal = limited.arrived(host, kind)
    if refusal is not None:
        return refusal.status
    try:
        limited.known(who, host, kind)
    except ProblemError as error:
        assert int(error.headers["Retry-After"]) >= 1
        return error.status
    return None


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/api/calls/x/pause", RequestKind.ACT), ("POST", "/api/extensions/2001/resume", RequestKind.ACT),
        ("POST", "/agent/pause", RequestKind.ACT), ("POST", "/live/x/pause", RequestKind.ACT),
        ("POST", "/opt-outs/x/grant", RequestKind.ACT),
        ("POST", "/api/opt-outs/x/decline", RequestKind.ACT), ("POST", "/api/session", RequestKind.ACT),
        ("GET", "/api/calls", RequestKind.OTHER), ("GET", "/agent/state", RequestKind.OTHER),
        ("HEAD", "/live", RequestKind.OTHER),
        ("POST", "/api/recordings/search", RequestKind.OTHER), ("POST", "/recordings", RequestKind.OTHER),
        ("POST", "/liver", RequestKind.OTHER), ("GET", "/static/live.js", RequestKind.FREE),
        ("GET", "/api/events", RequestKind.OTHER),
    ],
)  # fmt: skip
def test_what_a_request_asks_for(method: str, path: str, kind: RequestKind) -> None:
    assert kind_of(method, path) is kind


def test_ten_seconds_worth_at_once_and_then_as_it_comes_back() -> None:
    clock = Seconds()
    limited = limits(clock)
    assert [asks(limited, "ann", RequestKind.OTHER) for _ in range(21)] == [None] * 20 + [429]
    assert asks(limited, "bob", RequestKind.OTHER) is None, "another person has their own"
    clock.now_s += 1
    assert [asks(limited, "ann", RequestKind.OTHER) for _ in range(3)] == [None, None, 429]


def test_no_flood_of_searches_stops_a_pause_and_files_are_free() -> None:
    limited = limits(Seconds())
    assert 429 in [asks(limited, f"p{n % 40}", RequestKind.OTHER) for n in range(1000)]
    assert limited.arrived(HOST, RequestKind.OTHER) is not None, "the address has had its share of listings"
    assert [asks(limited, "ann", RequestKind.ACT) for _ in range(20)] == [None] * 20
    assert [asks(limited, "ann", RequestKind.FREE) for _ in range(5000)] == [None] * 5000


def test_one_program_that_runs_wild_does_not_use_up_its_address() -> None:
    limited = limits(Seconds())
    assert [asks(limited, "token:wild", RequestKind.OTHER) for _ in range(5000)].count(None) == 20
    assert asks(limited, "ann", RequestKind.OTHER) is None


def test_strangers_use_up_their_address_only() -> None:
    limited = limits(Seconds())
    answers = [limited.arrived(HOST, RequestKind.OTHER) for _ in range(201)]
    assert [one is None for one in answers] == [True] * 200 + [False]
    assert limited.arrived("192.0.2.2", RequestKind.OTHER) is None


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"), ("2001:db8:0:2::7", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"), ("::1", "::/64"), ("testclient", "testclient"), ("", ""),
    ],
)  # fmt: skip
def test_whose_address_it_is(host: str, source: str) -> None:
    assert source_of(host) == source


class Book:
    """An audit log that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def note_late(
        self, verb: str, actor: str, subject: str, details: dict[str, Any], *, text: str | None = None
    ) -> None:
        self.entries.append({"actor": actor, "verb": verb, "subject": subject, "text": text, **details})


def refused_tokens(book: Book, clock: Seconds) -> RefusedTokens:
    return RefusedTokens(book, clock)  # type: ignore[arg-type]


def test_few_are_written_one_by_one_and_many_by_their_number() -> None:
    book, clock = Book(), Seconds()
    tokens = refused_tokens(book, clock)
    for number in range(10_000):
        tokens.enter(TokenRefused(name="", why="no such token"), f"2001:db8::{number:x}")
    tokens.enter(TokenRefused(name="till", why="revoked"), HOST)
    assert [(one["actor"], one["source"]) for one in book.entries] == [
        *(("unknown", f"2001:db8::{number:x}") for number in range(EACH)), ("token:till", HOST),
    ]  # fmt: skip
    tokens.look()
    assert len(book.entries) == EACH + 1, "the minute is not over"
    clock.now_s += WINDOW_S
    tokens.look()
    last = book.entries[-1]
    assert (last["times"], last["sources"]) == (10_000 - EACH, {"2001:db8::/64": 10_000 - EACH})
    assert last["tokens"] == {"unknown": 10_000 - EACH}
    tokens.look()
    assert len(book.entries) == EACH + 2, "once"
    tokens.enter(TokenRefused(name="", why="no such token"), HOST)
    assert book.entries[-1]["source"] == HOST, "a new minute"


def test_many_addresses_are_counted_together_and_nothing_grows_without_end() -> None:
    book, clock = Book(), Seconds()
    tokens = refused_tokens(book, clock)
    for number in range(5000):
        tokens.enter(TokenRefused(name="", why="no such token"), f"10.0.{number >> 8}.{number & 255}")
    assert len(book.entries) == MOST
    tokens.look(is_last=True)
    last = book.entries[-1]
    assert last["times"] == 5000 - MOST
    assert len(last["sources"]) == 20
    assert last["sources"]["others"] == 5000 - MOST - 1000


def test_who_was_known_a_moment_ago_is_not_stopped_by_others_at_their_address() -> None:
    clock = Seconds()
    limited = limits(clock)
    limited.known("ann", HOST, RequestKind.ACT, b"hers")
    while limited.arrived(HOST, RequestKind.ACT) is None:
        pass
    assert limited.arrived(HOST, RequestKind.ACT, b"hers") is None
    assert limited.arrived(HOST, RequestKind.ACT, b"made up") is not None
    clock.now_s += KNOWN_FOR_S
    while limited.arrived(HOST, RequestKind.ACT) is None:
        pass
    assert limited.arrived(HOST, RequestKind.ACT, b"hers") is not None, "it may be that they are known no more"
    for number in range(MOST_BUCKETS + 1):
        limited.known("bob", HOST, RequestKind.FREE, str(number).encode())
    assert limited.arrived(HOST, RequestKind.ACT, b"0") is not None, "so many are remembered"
    assert limited.arrived(HOST, RequestKind.ACT, b"1") is None
    limited.unknown(b"1")
    assert limited.arrived(HOST, RequestKind.ACT, b"1") is not None, "nobody is behind it any more"
