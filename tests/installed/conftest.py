"""Machines on which apt has installed the package of this checkout (`tests.helpers.installed_machine`)."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.installed_machine import Machine, Phones, base_root, build_package, install, make_home, start

Layers = list[Path]
MAKING_S = 1200
"""How long the root and the package may take to be made the first time, before a test is taken for one that hangs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the time to make the root, which counts as the first one's."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(MAKING_S))


@pytest.fixture(scope="session")
def package() -> Path:
    """The package of this checkout."""
    return build_package()


@pytest.fixture(scope="session")
def base(package: Path) -> Layers:
    """A Debian root without the package; kept from run to run."""
    return [base_root(package)]


@pytest.fixture(scope="session")
def installed(package: Path, base: Layers) -> Iterator[Layers]:
    """A root on which apt has installed the package while the machine ran; there is no home yet."""
    with Machine(base) as machine:
        assert "Next: make the recorder's home" in install(machine, package)
        machine.off()
        yield [machine.upper, *base]


@pytest.fixture(scope="session")
def ready(installed: Layers) -> Iterator[Layers]:
    """A root with the package and the home of `make_home`; daemon and console were never started."""
    with Machine(installed) as machine:
        make_home(machine)
        machine.off()
        yield [machine.upper, *installed]


@pytest.fixture
def machine(ready: Layers) -> Iterator[Machine]:
    """A machine of this test alone, on which daemon and console run by their units as they are shipped."""
    with Machine(ready) as made:
        start(made)
        yield made


@pytest.fixture
def phones(machine: Machine) -> Iterator[Phones]:
    """Callers and officers of that machine, outside it."""
    with ExitStack() as stack:
        yield Phones(stack, machine)
