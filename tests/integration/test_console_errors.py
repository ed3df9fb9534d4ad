"""Pages that say that something went wrong, asked without a server."""

from collections.abc import Iterator

import pytest

from tests.helpers.pages_site import FORM, PagesSite, Visitor, pages_site, words_of

NAVIGATION = '<nav aria-label="Pages"'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesSite]:
    with pages_site(tmp_path_factory.mktemp("errors")) as made:
        yield made


@pytest.mark.parametrize(
    ("account", "path", "status"),
    [("officer", "/people", 403), ("dpo", "/nowhere", 404), ("dpo", "/recordings/20261124T093000Z-2001-ffffff", 404)],
)
def test_an_error_page_has_the_navigation_of_who_sees_it(site: PagesSite, account: str, path: str, status: int) -> None:
    answer = Visitor(site, account).get(path)
    assert answer.status == status
    assert NAVIGATION in answer.text
    assert 'class="govuk-service-navigation__link" href="/requests"' in answer.text


def test_what_a_role_does_not_allow_says_who_may_and_whom_to_ask(site: PagesSite) -> None:
    page = words_of(Visitor(site, "officer").get("/people"))
    assert "Your role does not allow you to" in page
    assert "Roles that do: administrator" in page
    assert "If your work needs this, ask an administrator of the call recorder for a role that may: admin." in page
    hidden = words_of(Visitor(site, "officer").get("/audit"))
    assert "Roles that do: data protection officer" in hidden
    assert "a role that may: admin." in hidden


def test_what_is_refused_for_another_reason_names_no_administrator(site: PagesSite) -> None:
    answer = site.ask(
        "POST", "/requests", headers={**Visitor(site, "officer").headers, "content-type": FORM}, body=b"csrf=guess"
    )
    assert answer.status == 403
    assert "This form is out of date" in answer.text
    assert "administrator" not in answer.text.partition("<main")[2].partition("</main>")[0]


def test_an_error_page_for_nobody_has_none(site: PagesSite) -> None:
    assert NAVIGATION not in site.ask("GET", "/nowhere").text
    unknown = site.ask("GET", "/nowhere", headers={"cookie": "recorder=x"})
    assert unknown.status == 404
    assert NAVIGATION not in unknown.text
