"""One recorder for all walks: `tests/conftest.py` gives the folder to one worker."""

from collections.abc import Iterator

import pytest

from tests.helpers.policy_site import PolicySite, policy_site
from tests.integration.test_payment_page import console_process


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicySite]:
    """The recorder, with calls that are over."""
    with policy_site(tmp_path_factory.mktemp("policy")) as made:
        yield made


@pytest.fixture(scope="session")
def console(site: PolicySite) -> Iterator[str]:
    """Address of the recorder's console, for what has no command."""
    with console_process(site.home, site.folder / "console.log") as url:
        yield url


@pytest.fixture(autouse=True)
def _calls_end(site: PolicySite) -> Iterator[None]:
    yield
    site.end_calls()
