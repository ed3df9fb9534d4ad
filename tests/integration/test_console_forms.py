"""Every form of the console is handed back as it was typed when something in it is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.responses import HTMLResponse

from recorder.data_subjects import casework
from recorder.rules.cases import CaseKind
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import TypedForm
from recorder.web.render import Renderer
from storage.retention_types import Hold, HoldKind
from storage.types import RecordingId
from tests.helpers.pages_site import PagesSite, Visitor, pages_site
from tests.helpers.storage_home import ID

HOLD = "0a1b2c3d"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesSite]:
    with pages_site(tmp_path_factory.mktemp("forms")) as made:
        now = made.deps.now()
        made.deps.hold_repositories.holds.place(
            Hold(
                id=HOLD, recording=RecordingId(ID), kind=HoldKind.COMPLAINT, reason="a complaint", case_reference="C 1",
                owner="lead", placed_by="lead", placed_at=now, review_on=now.date(),
            )
        )  # fmt: skip
        yield made


@pytest.fixture(scope="module")
def case(site: PagesSite) -> str:
    lead = site.deps.people.find("lead")
    assert lead is not None
    opened = casework.open_case(
        site.deps.cases, lead, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="a letter", text="a call"
    )
    return opened.id


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[TypedForm]:
    """What pages are given as their form."""
    forms: list[TypedForm] = []
    page = Renderer.page

    def seen(self: Renderer, template: str, caller: ConsoleCaller | None, **values: Any) -> HTMLResponse:
        forms.append(values.get("form") or TypedForm())
        return page(self, template, caller, **values)

    monkeypatch.setattr(Renderer, "page", seen)
    return forms


RECORDING = f"/recordings/{ID}"
FORMS: list[tuple[str, str, dict[str, str], str, set[str]]] = [
    ("lead", f"{RECORDING}/hold", {"kind": "complaint", "reason": "they complain", "review_on": "soon"}, "hold",
     {"review_on"}),
    ("lead", f"{RECORDING}/hold", {"kind": "", "reason": "they complain"}, "hold", {"kind"}),
    ("lead", f"{RECORDING}/holds/{HOLD}/review", {"reason": "", "review_on": "2027-01-01"}, f"hold-{HOLD}", {"reason"}),
    ("lead", f"/holds/{HOLD}/review", {"reason": "again", "review_on": "32/1/2027"}, f"hold-{HOLD}", {"review_on"}),
    ("lead", f"{RECORDING}/erase", {"start": "x", "end": "y", "reason": "a name"}, "erase", {"start", "end"}),
    ("officer", f"{RECORDING}/forgot", {"start": "x", "reason": "card"}, "forgot", {"start"}),
    ("officer", f"{RECORDING}/request", {"category": "", "leave": "", "reason": "why"}, "request",
     {"category", "leave"}),
    ("officer", "/requests", {"recordings": ID, "category": "training", "leave": "listen", "reason": ""}, "request",
     {"reason"}),
    ("lead", "/rights", {"recording": ID, "right": "x", "reason": "they say so"}, "claim", {"right"}),
    ("lead", "/rights", {"recording": ID, "right": "erasure", "ground": "unlawful", "requester": "J", "on": "x"},
     "claim", {"on"}),
    ("lead", "/cases", {"requester": "J. Doe", "text": "all calls", "on": "30/2/2026"}, "", {"on"}),
    ("lead", "/cases", {"requester": "J. Doe", "from_date-day": "x", "to_date-year": "y"}, "",
     {"from_date", "to_date"}),
    ("lead", "/cases/CASE/step", {"step": "", "text": "they rang", "on-day": "25"}, "", {"step"}),
    ("lead", "/cases/CASE/search", {"from_date-day": "x", "operator": "Olive Officer"}, "", {"from_date"}),
    ("dpo", "/cases/CASE/narrow", {"from_date-day": "x", "text": "too many"}, "", {"from_date"}),
    ("lead", "/cases/CASE/decide", {"decision": "", "text": "all of it", "balance": "b"}, "", {"decision"}),
    ("lead", "/cases/CASE/transcript", {"form": "", "transcript": "0:01 hello"}, "", {"form"}),
    ("admin", "/people/other/roles", {"reason": "she left"}, "", {"role"}),
    ("admin", "/people/other/roles", {"role": "dpo", "reason": ""}, "", {"reason"}),
    ("admin", "/people/dpo/reset-authenticator", {"reason": ""}, "", {"reason"}),
]  # fmt: skip


@pytest.mark.parametrize(("account", "path", "fields", "name", "wrong"), FORMS)
def test_a_refused_form_has_what_was_typed(
    site: PagesSite, case: str, shown: list[TypedForm], account: str, path: str, fields: dict[str, str], name: str,
    wrong: set[str],
) -> None:  # fmt: skip
    answer = Visitor(site, account).post(path.replace("CASE", case), **fields)
    assert answer.status == 422
    form = shown[-1]
    assert form.name == name
    assert {field: form[field] for field in fields} == fields
    assert set(form.errors) == wrong
    assert site.entries("access.refused") == []


def test_a_form_of_a_page_seen_for_the_first_time_is_empty(site: PagesSite, shown: list[TypedForm]) -> None:
    assert Visitor(site, "lead").get("/requests").status == 200
    assert not shown[-1].is_sent
