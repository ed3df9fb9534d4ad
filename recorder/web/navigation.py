"""The headings and links of the console's navigation, by what a person may do. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from recorder.permissions import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A page in the navigation.

    Attributes:
        section: What its templates set as ``section``.
        acts: A person sees the link who may do any of these; everybody if there are none.
    """

    section: str
    text: str
    href: str
    acts: frozenset[Act] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading of the service navigation: its first link is the page that it opens.

    Attributes:
        count: How many things wait for the person under this heading.
    """

    text: str
    links: tuple[Link, ...]
    count: int = 0

    def has(self, section: str) -> bool:
        """Tell whether a page belongs under this heading."""
        return any(link.section == section for link in self.links)


def _link(section: str, text: str, href: str, *acts: Act) -> Link:
    return Link(section=section, text=text, href=href, acts=frozenset(acts))


HEADINGS = (
    Heading(text="Overview", links=(_link("overview", "Overview", "/overview"),)),
    Heading(
        text="Calls",
        links=(_link("agent", "My phone", "/agent", Act.PAUSE), _link("live", "Live calls", "/live", Act.SEE_LIVE)),
    ),
    Heading(text="Recordings", links=(_link("recordings", "Recordings", "/recordings", Act.SEARCH),)),
    Heading(
        text="Requests and cases",
        links=(
            _link("requests", "Requests to listen", "/requests", Act.ASK),
            _link("cases", "Cases", "/cases", Act.WORK_ON_CASES),
            _link("rights", "Data rights", "/rights", Act.WRITE_CLAIM),
            _link("holds", "Holds", "/holds", Act.PLACE_HOLD),
            _link("erasures", "Erasures", "/erasures", Act.CONFIRM_ERASURE),
        ),
    ),
    Heading(
        text="Administration",
        links=(
            _link("people", "Accounts", "/people", Act.MANAGE_PEOPLE, Act.CONFIRM_GRANT),
            _link("audit", "Audit log", "/audit", Act.VIEW_AUDIT),
            _link("reports", "Pauses", "/reports/pauses", Act.REPORT),
            _link("assurance", "Recording assurance", "/assurance", Act.REPORT),
            _link("health", "Health", "/health", Act.SEE_SYSTEM),
            _link("notices", "Notices", "/notices", Act.SEE_SYSTEM),
            _link("changes", "Changes", "/changes", Act.SEE_SYSTEM),
        ),
    ),
)
"""At most five, as the service navigation of the GOV.UK Design System asks."""


def navigation(may: Collection[Act], counts: Mapping[str, int] | None = None) -> tuple[Heading, ...]:
    """Return the headings and links that a person sees.

    Args:
        may: What the person's roles permit.
        counts: How many things wait for the person, by section.
    """
    waiting = counts or {}
    found = []
    for heading in HEADINGS:
        links = tuple(link for link in heading.links if not link.acts or not link.acts.isdisjoint(may))
        if links:
            count = sum(waiting.get(link.section, 0) for link in links)
            found.append(Heading(text=heading.text if len(links) > 1 else links[0].text, links=links, count=count))
    return tuple(found)
