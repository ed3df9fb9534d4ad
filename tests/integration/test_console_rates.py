"""Limits of the console as they are met over HTTP: searches that are too many, and pauses that go on all the same."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from recorder.permissions import Scope
from recorder.web.rates import PEOPLE_AT_AN_ADDRESS, SECONDS_AT_ONCE, RateLimits
from tests.helpers.accounts import add_token
from tests.helpers.console_site import CALL, WITHOUT_SECOND_FACTOR, Browser, Console, console_site, signed_in

OPTIONS = replace(WITHOUT_SECOND_FACTOR, requests_per_s=2.0, acts_per_s=2.0)
AT_AN_ADDRESS = 2 * SECONDS_AT_ONCE * PEOPLE_AT_AN_ADDRESS


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A console whose limits' clock stands still: a busy machine must not let more through than an idle one."""
    monkeypatch.setattr("recorder.web.app.RateLimits", partial(RateLimits, clock=lambda: 0.0))
    with console_site(tmp_path, options=OPTIONS) as running:
        yield running


def bearer(console: Console, secret: str) -> Browser:
    browser = console.browser()
    browser.headers["Authorization"] = f"Bearer {secret}"
    return browser


def test_a_flood_of_searches_is_refused_and_a_pause_is_not(console: Console) -> None:
    new = add_token(console.deps.tokens, "crm", scopes=list(Scope))
    with bearer(console, new.secret) as crm, signed_in(console, "lead") as lead:
        answers = [crm.get("/api/recordings") for _ in range(60)]
        refused = [one for one in answers if one.status_code == 429]
        assert 30 <= len(refused) <= 40
        assert refused[-1].headers["content-type"] == "application/problem+json"
        assert int(refused[-1].headers["retry-after"]) >= 1
        assert refused[-1].headers["x-frame-options"] == "DENY"
        assert set(refused[-1].json()) == {"title", "status", "detail"}
        assert crm.post(f"/api/calls/{CALL}/pause").status_code == 200
        assert lead.get("/api/recordings").status_code == 200, "others have their own"
        assert console.deps.live.calls()[0]["state"] == "paused"


def test_acts_are_bounded_too_and_pages_say_so_in_words(console: Console) -> None:
    with signed_in(console, "lead") as lead:
        acts = [lead.post(f"/api/calls/{CALL}/pause").status_code for _ in range(30)]
        assert acts[:15] == [200] * 15
        assert acts[-1] == 429
        pages = [lead.get("/recordings") for _ in range(30)]
        assert pages[-1].status_code == 429
        assert "Too many requests at once" in pages[-1].text
        assert lead.get("/static/console.css").status_code == 200


def test_made_up_tokens_do_not_fill_the_audit_log_and_are_counted(console: Console) -> None:
    with console.browser() as stranger:
        for number in range(40):
            stranger.headers["Authorization"] = f"Bearer made-up-{number}"
            assert stranger.get("/api/calls").status_code == 401
        assert len(console.entries("access.refused")) == 5
        console.gate.close()
        *_, last = console.entries("access.refused")
        assert (last.details["act"], last.details["times"], last.details["sources"]) == (
            "token.use", 35, {"127.0.0.1": 35},
        )  # fmt: skip


def test_a_flood_of_nobody_at_the_same_address_stops_no_pause(console: Console) -> None:
    """Behind a proxy, or on a server of terminals, everybody has one address."""
    new = add_token(console.deps.tokens, "crm", scopes=list(Scope))
    with signed_in(console, "lead") as lead, bearer(console, new.secret) as crm, console.browser() as stranger:
        assert crm.get("/api/calls").status_code == 200
        for method, path in (("POST", f"/api/calls/{CALL}/pause"), ("GET", "/api/calls")):
            flood = [stranger.request(method, path) for _ in range(AT_AN_ADDRESS + 10)]
            assert flood[-1].status_code == 429, "the flood itself is stopped"
        assert lead.post(f"/api/calls/{CALL}/pause").status_code == 200
        assert lead.get("/live/rows").status_code == 200
        assert crm.post(f"/api/calls/{CALL}/resume").status_code == 200
