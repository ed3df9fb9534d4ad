"""Pages that say that something went wrong, asked without a server."""

from collections.abc import Iterator

import pytest

from tests.helpers.pages_site import PagesSite, Visitor, pages_site

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


def test_an_error_page_for_nobody_has_none(site: PagesSite) -> None:
    assert NAVIGATION not in site.ask("GET", "/nowhere").text
    unknown = site.ask("GET", "/nowhere", headers={"cookie": "recorder=x"})
    assert unknown.status == 404
    assert NAVIGATION not in unknown.text
