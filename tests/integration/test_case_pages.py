"""The pages of cases: opened in two steps and counted if wide, a task list, a page an act, letters to read."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.helpers.accounts import Clock
from tests.helpers.asked_app import Answer
from tests.helpers.pages_site import PagesSite, Visitor, pages_site, words_of
from tests.helpers.storage_home import ID

WHO = {"kind": "sar", "requester": "<i>J. Doe</i>", "form": "letter", "on-day": "2", "on-month": "nov", "on-year": "26"}
CASE = "/cases/SAR-2026-0001"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PagesSite]:
    with pages_site(tmp_path, now=Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))) as made:
        yield made


def hidden(page: Answer) -> dict[str, str]:
    """Return the hidden fields of a page's form, as its browser sends them."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: value.replace("&lt;", "<").replace("&gt;", ">") for name, value in found if name != "csrf"}


def states(page: Answer) -> list[str]:
    """Return the states of the tasks on a case's page."""
    found = re.findall(r'<div class="govuk-task-list__status[^"]*" id="[^"]+">(.*?)</div>', page.text, re.DOTALL)
    return [re.sub(r"<[^>]+>", "", one).strip() for one in found]


def waits(page: Answer) -> dict[str, list[tuple[str, str]]]:
    """Return the links of each task that waits, by its title: their words, and where they lead."""
    found = {}
    for item in page.text.split('<li class="govuk-task-list__item')[1:]:
        title = re.search(r'<div class="govuk-task-list__name-and-hint">\s*<div>(.*?)</div>', item, re.DOTALL)
        hint = re.search(r"Waits for: (.*?)</div>", item, re.DOTALL)
        if title and hint:
            links = re.findall(r'<a class="govuk-link" href="([^"]+)">(.*?)</a>', hint[1])
            found[title[1].strip()] = [(words, to) for to, words in links]
    return found


def test_a_case_is_opened_in_two_steps_and_a_wide_search_is_counted_first(site: PagesSite) -> None:
    lead = Visitor(site, "lead")
    empty = lead.post("/cases/new", requester=" ", **{"on-day": "31", "on-month": "2", "on-year": "2026"})
    assert empty.status == 422
    for sentence in (
        "Select what they are asking for.",
        "Enter the name of the person or organisation.",
        "The day must be between 1 and 28",
    ):
        assert words_of(empty).count(sentence) == 2, "in the summary and at the field"
    assert lead.post("/cases/new", kind="disclosure", requester="PC 17").status == 422, "without a legal ground"

    gave = lead.post("/cases/new", **WHO)
    assert "<i>J. Doe" not in gave.text
    assert hidden(gave) == WHO
    day = {"from_date-day": "24", "from_date-month": "11", "from_date-year": "2026"}
    late = lead.post("/cases", **hidden(gave), **day, from_time="25 o'clock", text="my call")
    assert (late.status, 'value="24"' in late.text, "my call" in late.text) == (422, True, True)

    wide = lead.post("/cases", **hidden(gave), **day, from_time="9.30am", text="my call")
    assert (wide.status, "1 recording fits this search" in wide.text) == (409, True)
    again = lead.post("/cases/new", **hidden(wide), change="gave")
    assert (again.status, 'value="9.30am"' in again.text) == (200, True)
    assert lead.post("/cases/new", **hidden(wide), change="who").status == 200
    opened = lead.post("/cases", **hidden(wide))
    assert opened.headers["location"] == f"{CASE}?done=opened"
    page = lead.get(opened.headers["location"])
    assert "Due on 2 December 2026" in page.text
    assert "7 days left" in page.text
    assert "The data protection officer confirms or narrows it" in page.text
    (case,) = site.deps.cases.cases.all()
    assert (case.requester, case.entries[0].details["found"]) == ("<i>J. Doe</i>", 1)


def test_the_tasks_of_a_case_and_a_page_for_each(site: PagesSite) -> None:
    lead, dpo = Visitor(site, "lead"), Visitor(site, "dpo")
    lead.post("/cases", **WHO, number="020 7946 0000", text="my call")
    assert '<option value="Olive Officer">' in lead.get(f"{CASE}/search").text
    assert states(lead.get(CASE)) == [
        "To do", "To do", "Cannot start yet", "Cannot start yet", "Cannot start yet", "To do", "Cannot start yet",
        "Cannot start yet",
    ]  # fmt: skip
    missing = waits(lead.get(CASE))
    identity, search = ("Check who is asking", f"{CASE}/identity"), ("Search for recordings", f"{CASE}/search")
    assert missing.pop("Take in or dismiss recordings") == [search]
    assert list(missing) == ["Decide", "Redact and copy", "Hand over", "Close the case"]
    assert all(one == [identity, search] for one in missing.values())
    assert [lead.get(link).status for _, link in (identity, search)] == [200, 200]
    early = lead.post(f"{CASE}/step", step="closed", text="")
    assert (early.status, 'href="#text"' in early.text) == (409, False), "no reason would help"
    assert lead.post(f"{CASE}/step", page="identity", text="a letter").status == 422
    assert lead.post(f"{CASE}/step", step="identity_checked", text="tax account").status == 303
    assert lead.post(f"{CASE}/search", extension="2001").headers["location"] == f"{CASE}/recordings?done=searched"
    assert waits(lead.get(CASE))["Decide"] == [("Take in or dismiss recordings", f"{CASE}/recordings")]
    assert "may not decide it" in lead.get(f"{CASE}/decide").text

    assert "Select a recording." in lead.post(f"{CASE}/match").text
    assert "Select a recording." in lead.post(f"{CASE}/dismissal").text
    asked = lead.post(f"{CASE}/dismissal", recordings=[ID])
    assert (asked.status, "Dismiss 1 recording" in asked.text) == (200, True)
    assert "govuk-error-summary" not in asked.text, "nothing was refused yet"
    assert "Enter why the request does not cover them." in lead.post(f"{CASE}/dismiss", **hidden(asked), text="").text
    assert lead.post(f"{CASE}/match", recordings=[ID]).status == 303
    assert waits(lead.get(CASE))["Redact and copy"] == [("Decide", f"{CASE}/decide")]
    assert "Decide</a> (waiting for a colleague)" in lead.get(CASE).text

    assert dpo.post(f"{CASE}/decide", decision="disclose").status == 303
    page = lead.get(CASE)
    assert states(page)[2:] == ["Completed", "Completed", "To do", "To do", "To do", "Cannot start yet"]
    assert "No copy" in page.text
    assert lead.post(f"{CASE}/step", step="handed_over", text="in person").status == 303
    closing = lead.get(f"{CASE}/closing")
    assert "No copy was made of 1 recording." in closing.text
    assert "24 November 2026, 9:30am" in closing.text
    refused = lead.post(f"{CASE}/step", step="closed", text="")
    assert (refused.status, '<a href="#text">No copy was made of' in refused.text) == (409, True)
    closed = lead.post(f"{CASE}/step", step="closed", text="they listened in our office")
    assert closed.headers["location"] == f"{CASE}?done=closed"
    assert "There are no open cases" in lead.get("/cases").text
    assert "SAR-2026-0001" in lead.get("/cases?show=closed").text
    assert "they listened in our office" in lead.get(f"{CASE}/history").text


def test_letters_are_read_before_they_are_downloaded(site: PagesSite) -> None:
    lead = Visitor(site, "lead")
    lead.post("/cases", **WHO)
    listed = lead.get(f"{CASE}/letters")
    assert f'href="{CASE}/letters/acknowledgement"' in listed.text
    assert f'href="{CASE}/letters/refusal"' not in listed.text
    read = lead.get(f"{CASE}/letter/acknowledgement")
    assert "Dear &lt;i&gt;J. Doe&lt;/i&gt;" in read.text
    text = lead.get(f"{CASE}/letter/acknowledgement/text")
    assert "Dear <i>J. Doe</i>" in text.text
    assert text.headers["content-disposition"] == 'attachment; filename="SAR-2026-0001 Acknowledgement.txt"'
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert lead.get(f"{CASE}/letter/refusal").status == 409
    assert lead.get(f"{CASE}/letter/gossip").status == 404
    assert Visitor(site, "officer").get(f"{CASE}/letter/acknowledgement").status == 403
