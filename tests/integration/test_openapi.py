"""Schemathesis asks every operation of the HTTP interface what its OpenAPI allows and what it does not, as the DPO."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx2
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.helpers.console_site import WITHOUT_SECOND_FACTOR, Console, console_site, signed_in
from tests.helpers.extent import examples

EXAMPLES = examples(quick=2, full=12)
"""For each operation."""
PARTS = examples(quick=1, full=6)
"""Tests that share the operations, so that each stays far from the time that a test may take on a busy machine."""
UNHURRIED = replace(WITHOUT_SECOND_FACTOR, requests_per_s=10_000.0, acts_per_s=10_000.0)
UNDOCUMENTED = {400, 405, 413, 415}
"""Of HTTP itself: a body that is no text, another method, too much of it, another type."""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("openapi"), options=UNHURRIED) as running:
        yield running


@pytest.fixture(scope="module")
def dpo(console: Console) -> Iterator[httpx2.Client]:
    with signed_in(console, "dpo") as browser:
        yield browser


@pytest.fixture(scope="module")
def connection() -> Iterator[requests.Session]:
    """Connections that stay open from one request to the next; its cookies are those of each request."""
    with requests.Session() as session:
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield session


def check(case: Any, dpo: httpx2.Client, connection: requests.Session, url: str) -> int:
    """Send one request and look at its answer; returns the status."""
    headers = {"X-CSRF-Token": dpo.headers["X-CSRF-Token"], "Cookie": f"recorder={dpo.cookies['recorder']}"}
    answer = case.call(base_url=url, headers=headers, session=connection)
    said = f"{case.method} {case.formatted_path}: {answer.status_code} {answer.text[:300]}"
    assert answer.status_code != 500, said
    assert "Traceback" not in answer.text, said
    documented = case.operation.definition.raw["responses"]
    assert str(answer.status_code) in documented or answer.status_code in UNDOCUMENTED, said
    if answer.status_code >= 400:
        assert answer.headers["content-type"][0].startswith("application/problem+json"), said
        assert set(answer.json()) >= {"title", "status", "detail"}, said
    return int(answer.status_code)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_operation_answers_whatever_it_is_asked(
    console: Console, dpo: httpx2.Client, connection: requests.Session, mode: str, part: int
) -> None:
    import schemathesis  # noqa: PLC0415 - a second to load, in every process that collects tests

    schema = schemathesis.openapi.from_dict(dpo.get("/api/openapi.json").json())
    how = schemathesis.GenerationMode.POSITIVE if mode == "positive" else schemathesis.GenerationMode.NEGATIVE
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]  # type: ignore[union-attr]  # an Err has none, which fails the test
    asked_of = [one for one in operations if one.path != "/api/events"]  # it never ends; it is tested apart
    assert len(asked_of) > 20
    seen: set[int] = set()
    for operation in asked_of[part::PARTS]:
        cases = operation.as_strategy(generation_mode=how)
        seen |= asked(cases, lambda case: check(case, dpo, connection, console.url))
    assert {200, 404, 422} & seen


def asked(cases: Any, check_one: Callable[[Any], int]) -> set[int]:
    """Send some requests of one operation; returns the statuses of the answers."""
    statuses: set[int] = set()

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases)
    def ask(case: Any) -> None:
        statuses.add(check_one(case))

    with contextlib.suppress(Unsatisfiable):  # there is nothing that its description does not allow
        ask()
    return statuses
