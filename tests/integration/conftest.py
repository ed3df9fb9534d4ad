"""Fixtures of several files: who relays media."""

import pytest


@pytest.fixture(params=[(), ("lo",)], ids=["sockets", "kernel"])
def kernel_interfaces(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """`RelayOptions.kernel_interfaces`, so that a test runs twice: media goes through sockets, and through the kernel.

    For tests whose packets come over the wire: what is injected meets no interface.
    """
    interfaces: tuple[str, ...] = request.param
    return interfaces
