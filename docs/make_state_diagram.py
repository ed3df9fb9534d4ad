"""Draws the state diagram of a call in DESIGN.md from the table: ``python -m docs.make_state_diagram``.

Nothing is listed by hand. Every call that can come about is found by handing each event to each call reached so far,
from the ways in which a call can begin; an arrow is a change of state that was seen.
"""

import dataclasses
import functools
import itertools
import operator
import sys
from collections.abc import Iterator
from pathlib import Path

from recorder.domain.call import (
    After,
    Answered,
    Begin,
    Call,
    Event,
    Left,
    NewcomerAnswered,
    NewcomerRefused,
    NoticeEnded,
    Rang,
    Refused,
    SecondEnded,
    SecondWanted,
    Side,
    State,
    Stopped,
    ToneEnded,
    TransferBegan,
)
from recorder.domain.policy import Direction, NoticeWhen

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
    Left(Side.A),
    Left(Side.B),
    NoticeEnded(complete=True),
    NoticeEnded(complete=False),
    SecondWanted(),
    SecondEnded(),
    ToneEnded(),
    *(TransferBegan(side) for side in Side),
    *(NewcomerAnswered(after, officer) for after in After for officer in Side),
    NewcomerRefused(486),
    Stopped("daemon_stopped"),
)
"""Every event, in every form that the table tells apart."""

Arrow = tuple[State, str, State]


def beginnings() -> Iterator[Call]:
    """Yield every way in which a call can begin."""
    for is_nominated, direction, notice_when, targets, has_second in itertools.product(
        (True, False), Direction, NoticeWhen, (1, 2), (True, False)
    ):
        yield Call(
            is_nominated=is_nominated,
            direction=direction,
            notice_when=notice_when,
            targets=targets,
            has_second=has_second,
        )


@functools.cache
def reachable() -> tuple[tuple[Call, Event, Call], ...]:
    """Return every step that a call can take: the call before, the event, the call after. Never change one."""
    return tuple(_explore())


def _explore() -> Iterator[tuple[Call, Event, Call]]:
    waiting = list(beginnings())
    fields_of = operator.attrgetter(*(field.name for field in dataclasses.fields(Call)))
    seen = {fields_of(call) for call in waiting}
    while waiting:
        before = waiting.pop()
        for event in PROBES:
            after = dataclasses.replace(before)
            after.handle(event)
            yield before, event, after
            if (key := fields_of(after)) not in seen:
                seen.add(key)
                waiting.append(after)


def arrows() -> list[Arrow]:
    """Return every change of state, in the order of the states and events."""
    found = {
        (before.state, type(event).__name__, after.state)
        for before, event, after in reachable()
        if after.state is not before.state
    }
    order = {state: number for number, state in enumerate(State)}
    return sorted(found, key=lambda arrow: (order[arrow[0]], order[arrow[2]], arrow[1]))


def mermaid() -> str:
    """Return the diagram as a fenced Mermaid block."""
    everywhere = {name for name in ("Left", "Stopped") if _ends_every_state(name)}
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> OFFERED"]
    lines += [f'    state "{state.value}" as {state.name}' for state in State if state is not State.ENDED]
    drawn = [arrow for arrow in arrows() if arrow[1] not in everywhere]
    for (start, end), group in itertools.groupby(drawn, key=lambda arrow: (arrow[0], arrow[2])):
        label = ", ".join(name for _, name, _ in group)
        lines.append(f"    {start.name} --> {'[*]' if end is State.ENDED else end.name} : {label}")
    lines.append("```")
    note = f"\n{' and '.join(sorted(everywhere))} end a call in every state; those arrows are left out.\n"
    return "\n".join(lines) + "\n" + note


def _ends_every_state(event: str) -> bool:
    left = {start for start, name, end in arrows() if name == event and end is State.ENDED}
    return left == set(State) - {State.ENDED}


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
