"""Draws the state diagram of a call in DESIGN.md from the table: ``python -m docs.make_state_diagram``.

Nothing is listed by hand. Every call that can come about is found by handing each event to each call reached so far,
from the ways in which a call can begin; an arrow is a change of state that was seen.
"""

import dataclasses
import functools
import itertools
import operator
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recorder.calls.rules.call_events import (
    After,
    Answered,
    Begin,
    CallState,
    Event,
    Left,
    NoticeEnded,
    Rang,
    Redirected,
    Refused,
    SecondEnded,
    SecondWanted,
    Side,
    Stopped,
    ToneEnded,
    TransferBegan,
    TransferTargetAnswered,
    TransferTargetRefused,
)
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.call_table import IGNORED, handle
from recorder.rules.policy import Direction, NoticeWhen

DESIGN = Path(__file__).parent.parent / "DESIGN.md"
BEGIN, END = "<!-- state diagram: begin -->\n", "<!-- state diagram: end -->\n"

PROBES: tuple[Event, ...] = (
    Begin(),
    Rang(),
    Rang(has_media=True),
    Answered(),
    *(Answered(after, officer) for after in After for officer in Side),
    Refused(486),
    Refused(503),
    Redirected(),
    Left(Side.A),
    Left(Side.B),
    NoticeEnded(complete=True),
    NoticeEnded(complete=False),
    SecondWanted(),
    SecondEnded(),
    ToneEnded(),
    *(TransferBegan(side) for side in Side),
    *(TransferTargetAnswered(after, officer) for after in After for officer in Side),
    TransferTargetRefused(486),
    Stopped("daemon_stopped"),
)
"""Every event, in every form that the table tells apart."""

Arrow = tuple[CallState, str, CallState]


def beginnings() -> Iterator[CallProgress]:
    """Yield every way in which a call can begin."""
    for is_nominated, direction, notice_when, targets, has_second in itertools.product(
        (True, False), Direction, NoticeWhen, (1, 2), (True, False)
    ):
        yield CallProgress(
            is_nominated=is_nominated,
            direction=direction,
            notice_when=notice_when,
            targets=targets,
            has_second=has_second,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What comes of every call that can come about.

    Attributes:
        first: The first call that was found in each state. Never change one.
        arrows: Every change of state.
    """

    first: Mapping[CallState, CallProgress]
    arrows: frozenset[Arrow]


@functools.cache
def reachable() -> Reached:
    """Hand each event to each call reached so far, until no other call comes of it.

    An event that the table ignores in a state is not handed over: it leaves the call as it is. Calls that are alike are
    one, and nothing is kept of a step but its change of state: there are hundreds of thousands of steps.
    """
    names = [field.name for field in dataclasses.fields(CallProgress)]
    fields_of = operator.attrgetter(*names)
    events = {state: [event for event in PROBES if (state, type(event)) not in IGNORED] for state in CallState}
    waiting = [fields_of(call) for call in beginnings()]
    seen = set(waiting)
    first: dict[CallState, CallProgress] = {}
    arrows: set[Arrow] = set()
    while waiting:
        fields = waiting.pop()
        values = dict(zip(names, fields, strict=True))
        before = CallProgress(**values)
        first.setdefault(before.state, before)
        for event in events[before.state]:
            after = CallProgress(**values)
            handle(after, event)
            if after.state is not before.state:
                arrows.add((before.state, type(event).__name__, after.state))
            if (found := fields_of(after)) != fields and found not in seen:
                seen.add(found)
                waiting.append(found)
    return Reached(first=first, arrows=frozenset(arrows))


def arrows() -> list[Arrow]:
    """Return every change of state, in the order of the states and events."""
    order = {state: number for number, state in enumerate(CallState)}
    return sorted(reachable().arrows, key=lambda arrow: (order[arrow[0]], order[arrow[2]], arrow[1]))


def mermaid() -> str:
    """Return the diagram as a fenced Mermaid block."""
    everywhere = {name for name in ("Left", "Stopped") if _ends_every_state(name)}
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> OFFERED"]
    lines += [f'    state "{state.value}" as {state.name}' for state in CallState if state is not CallState.ENDED]
    drawn = [arrow for arrow in arrows() if arrow[1] not in everywhere]
    for (start, end), group in itertools.groupby(drawn, key=lambda arrow: (arrow[0], arrow[2])):
        label = ", ".join(name for _, name, _ in group)
        lines.append(f"    {start.name} --> {'[*]' if end is CallState.ENDED else end.name} : {label}")
    lines.append("```")
    note = f"\n{' and '.join(sorted(everywhere))} end a call in every state; those arrows are left out.\n"
    return "\n".join(lines) + "\n" + note


def _ends_every_state(event: str) -> bool:
    left = {start for start, name, end in arrows() if name == event and end is CallState.ENDED}
    return left == set(CallState) - {CallState.ENDED}


def updated(text: str) -> str:
    """Return DESIGN.md's text with the diagram as it is now.

    Raises:
        ValueError: The marks that hold the diagram are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{DESIGN.name} lacks the lines {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + "\n" + mermaid() + "\n" + END + after


def main() -> int:
    """Bring DESIGN.md up to date."""
    DESIGN.write_text(updated(DESIGN.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
