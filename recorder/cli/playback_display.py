"""The line on the terminal while a recording is played: position, length, channel, keys."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.text import Text

from recorder.cli.output import messages, say
from recorder.cli.playback import HELP, Playback
from recorder.rules import times

_CHANNELS = {None: "both channels", 0: "caller", 1: "officer"}


def line_of(playback: Playback) -> str:
    """Return the line."""
    state = "paused" if playback.is_paused else "playing"
    at, length = (times.position(one) for one in (playback.position_s, playback.duration_s))
    return f"{state}  {at} / {length}  {_CHANNELS[playback.channel]}  ·  {HELP}"


@contextmanager
def shown(playback: Playback) -> Iterator[Callable[[], None]]:
    """Show the line on standard error; yields what shows it again. Two plain lines if that is no terminal."""
    if not messages.is_terminal:
        say(f"playing {times.duration(playback.duration_s)}")
        yield lambda: None
        say(f"stopped at {times.position(playback.position_s, exact=True)}")
        return
    with Live(Text(line_of(playback)), console=messages, auto_refresh=False, transient=True) as live:
        yield lambda: live.update(Text(line_of(playback)), refresh=True)
