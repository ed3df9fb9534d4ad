"""The navigation has at most five headings, and no link to a page that its reader may not open."""

import pytest

from recorder.permissions import TABLE, Act, Role
from recorder.web.navigation import navigation
from recorder.web.route_access import PAGES


@pytest.mark.parametrize("role", Role)
def test_every_role_sees_at_most_five_headings(role: Role) -> None:
    found = navigation(TABLE[role])
    assert 1 <= len(found) <= 5
    for heading in found:
        assert heading.links, "a heading opens its first link"
        for link in heading.links:
            assert not link.acts or link.acts & set(TABLE[role])


@pytest.mark.parametrize("role", Role)
def test_every_link_opens_for_those_who_see_it(role: Role) -> None:
    for link in (link for heading in navigation(TABLE[role]) for link in heading.links):
        needed = PAGES[f"GET {link.href}"].acts
        assert not needed or set(needed) & set(TABLE[role]), link.href


def test_a_heading_with_one_link_has_its_name_and_counts_are_summed() -> None:
    found = {one.text: one for one in navigation({Act.SEE_LIVE, Act.ASK, Act.PLACE_HOLD}, {"requests": 2, "holds": 1})}
    assert set(found) == {"Overview", "Live calls", "Requests and cases"}
    assert (found["Requests and cases"].count, found["Live calls"].count) == (3, 0)
    assert found["Requests and cases"].has("holds")
    assert not found["Live calls"].has("agent")


def test_the_pages_of_the_system_are_under_administration() -> None:
    (found,) = (one for one in navigation(set(Act)) if one.text == "Administration")
    assert [link.text for link in found.links] == [
        "Accounts", "Audit log", "Pauses", "Recording assurance", "Health", "Notices", "Changes",
    ]  # fmt: skip


def test_somebody_without_a_role_sees_the_overview_alone() -> None:
    assert [heading.text for heading in navigation(set())] == ["Overview"]
