"""Messages whose sound a process makes ready to be played once, and not once for each home.

A daemon loads its messages once. The tests make hundreds of homes, nearly all with the messages that are shipped, and
to make these ready in three codecs takes 60 ms of CPU each time.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from sqlalchemy.util import LRUCache

from audio import prompts
from audio.types import Prompt

_KEPT = 50
"""Messages; one of 20 s takes 640 KB."""


def make_ready_once() -> None:
    """Have this process keep what it has made ready."""
    prompts._prompt_of = _kept(prompts._prompt_of)  # type: ignore[assignment]


def make_ready(folder: Path) -> None:
    """Make the messages of a folder ready, for this process and those that are forked from it."""
    for path in folder.glob("*.flac"):
        prompts.load_prompt(path)


def _kept(make: Callable[[str, prompts.Signal, int], Prompt]) -> Callable[[str, prompts.Signal, int], Prompt]:
    known: LRUCache[tuple[int, bytes], Prompt] = LRUCache(_KEPT)

    def prompt_of(name: str, signal: prompts.Signal, rate_hz: int) -> Prompt:
        key = (rate_hz, blake2b(signal.tobytes()).digest())
        made = known.get(key)
        if made is None:
            made = known[key] = make(name, signal, rate_hz)
        return replace(made, name=name, audio=dict(made.audio))

    return prompt_of
