"""The section ``[selftest]``: how often the recorder calls itself, and by whose rules. Pure."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

Minutes = Annotated[float, Ge(5)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestOptions:
    """The section ``[selftest]``.

    Attributes:
        every_minutes: How often the daemon runs `recorder selftest` by itself, minutes; None: it does not.
        extension: The nominated extension whose service's rules its call follows; None: the first one.
    """

    every_minutes: Minutes | None = None
    extension: str | None = None
