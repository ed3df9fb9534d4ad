"""What `recorder phone` shows: on a terminal a line with the call and two level meters, elsewhere plain lines."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from recorder.cli.output import messages, say
from recorder.cli.phone_desk import HELP, Desk
from recorder.demo.phones.line import SILENT_DB, Line
from recorder.rules import times

_REFRESH_S = 0.1
_PLAIN_FIRST_S, _PLAIN_EVERY_S = 1.0, 5.0
"""When levels are said after the answer, and how often, seconds."""
_WIDTH = 20
_LOWEST_DB = -60.0


def bar(level_db: float) -> str:
    """Return a meter from -60 dB to full scale."""
    full = round((max(level_db, _LOWEST_DB) / -_LOWEST_DB + 1) * _WIDTH)
    return "█" * full + "░" * (_WIDTH - full)


def words(level_db: float) -> str:
    """Return a level in words."""
    return "silent" if level_db <= SILENT_DB else f"{level_db:.0f} dBFS"


def lines_of(desk: Desk, sent_db: float, heard_db: float) -> str:
    """Return what a terminal shows."""
    call, now = desk.call, desk.clock()
    talked = f"  {times.position(call.talked_s(now))}" if call is not None and call.answered_at is not None else ""
    return (
        f"{desk.state}{talked}\n"
        f"sent   {bar(sent_db)} {words(sent_db)}\n"
        f"heard  {bar(heard_db)} {words(heard_db)}\n"
        f"{HELP}"
    )


@contextmanager
def shown(desk: Desk, line: Line) -> Iterator[Callable[[], None]]:
    """Show the phone on standard error; yields what is called often, and shows it again when it is time."""
    next_at = 0.0

    def plain() -> None:
        nonlocal next_at
        call, now = desk.call, time.monotonic()
        if now < next_at or call is None or call.ended_at is not None or call.talked_s(now) < _PLAIN_FIRST_S:
            return
        next_at = now + _PLAIN_EVERY_S
        say(f"levels: sent {words(line.sent.read_db())}, heard {words(line.heard.read_db())}")

    if not messages.is_terminal:
        yield plain
        return

    with Live(console=messages, auto_refresh=False, transient=True) as live:

        def drawn() -> None:
            nonlocal next_at
            if time.monotonic() >= next_at:
                next_at = time.monotonic() + _REFRESH_S
                live.update(Text(lines_of(desk, line.sent.read_db(), line.heard.read_db())), refresh=True)

        yield drawn
