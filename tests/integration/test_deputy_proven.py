"""Who stands in for the data protection officer does so with a second factor: an officer signs in without one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.access.listening.appointing import acknowledge, to_acknowledge
from recorder.access.listening.asking import ask, decide, to_decide
from recorder.common.problems import ProblemError
from recorder.config.settings import Console as ConsoleOptions
from recorder.data_subjects import casework
from recorder.permissions import DeniedError, Person
from recorder.retention.restricting import ClaimChange, ClaimWish, change_claim, claim_to_json, read_claims, write_claim
from recorder.retention.rights import ClaimEvent
from recorder.retention.sweep_consent import check_consent
from recorder.rules.requesting import Category, RequestState, RequestWish
from storage.retention_types import Right
from storage.types import RecordingId
from tests.helpers.accounts import appoint_deputy
from tests.helpers.console_site import Console, console_site, refused, signed_in
from tests.helpers.storage_home import ID

WISH = RequestWish(recordings=(RecordingId(ID),), category=Category.COMPLAINT, reason="what was said about the arrears")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder: Path = tmp_path_factory.mktemp("deputy")
    with console_site(folder, is_daemon_up=False, options=ConsoleOptions()) as running:
        appoint_deputy(running.deps.hearing.appointments, "other")
        yield running


def test_a_deputy_who_signed_in_on_a_password_decides_nothing(console: Console) -> None:
    waiting = ask(console.deps.hearing, console.person("dpo"), WISH)
    with signed_in(console, "other") as deputy:
        for how in ({}, {"words": "no reason at all"}):
            act = "decline" if how else "grant"
            assert "authenticator" in refused(deputy.post(f"/api/requests/{waiting.id}/{act}", json=how), 403)
        assert deputy.get("/api/requests").json()["requests"] == [], "nor is shown what waits"
        assert waiting.id not in deputy.get("/requests").text
    found = console.deps.hearing.requests.get(waiting.id)
    assert found is not None
    assert found.state is RequestState.WAITING
    assert [(entry.act, entry.actor) for entry in console.entries("access.refused")][:1] == [
        ("access.refused", "other")
    ]


def test_what_a_deputy_does_takes_the_second_factor_everywhere(console: Console) -> None:
    deputy = console.person("other")
    unproven = replace(deputy, is_proven=False)
    hearing, claims = console.deps.hearing, casework.claim_repositories(console.deps.cases)
    wish = ClaimWish(right=Right.ERASURE, ground="no_longer_needed", requester="J. Doe", reason="it is not needed")
    claim = write_claim(claims, console.person("lead"), ID, wish)
    waiting = ask(hearing, console.person("dpo"), WISH)
    step = ClaimChange(event=ClaimEvent.UPHOLD, words="nobody needs it")
    acts: list[Callable[[Person], object]] = [
        lambda who: decide(hearing, who, waiting.id, granted=True),
        lambda who: to_acknowledge(hearing, who),
        lambda who: acknowledge(hearing, who, "00000000"),
        lambda who: read_claims(claims, who, is_open=True),
        lambda who: change_claim(claims, who, claim.id, step),
    ]
    for act in acts:
        with pytest.raises(ProblemError, match="authenticator") as denied:
            act(unproven)
        assert denied.value.status == 403
    with pytest.raises(DeniedError):
        check_consent(unproven, hearing.approvers, None)
    assert claim_to_json(claims.claims.get(claim.id), console.deps.now())["state"] == "asked"
    assert (to_decide(hearing, unproven), [one.id for one in to_decide(hearing, deputy)][-1:]) == ([], [waiting.id])
    check_consent(deputy, hearing.approvers, None)
    assert decide(hearing, deputy, waiting.id, granted=True).state is RequestState.GRANTED
    assert to_acknowledge(hearing, deputy) == []
