"""Check of `recorder site-check` on sign-in by an OpenID provider; asks the provider as a sign-in would."""

import asyncio
from collections.abc import Iterator

from recorder.access.openid.answers import ProviderDownError
from recorder.access.openid.provider import Provider
from recorder.common.clock import utc_now
from recorder.config.settings import Config
from recorder.service.findings import SiteFinding, ok, warning


def check_openid(config: Config) -> Iterator[SiteFinding]:
    """Check that the provider answers, if one is configured."""
    if config.openid.issuer is None:
        return
    try:
        asyncio.run(Provider(config.openid, now=utc_now).look())
    except ProviderDownError as problem:
        yield warning(
            "OpenID Connect", f"{config.openid.issuer}: {problem}",
            why="nobody can sign in to the console through it; name and password still work",
            do="check [openid], the provider, and the network between",
        )  # fmt: skip
        return
    yield ok("OpenID Connect", f"{config.openid.issuer} answers")
