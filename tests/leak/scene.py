"""What a run is searched in: the recorder with what was seen of it, and what a sink is."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import httpx2

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from storage.epochs import EpochKeys
from tests.leak.site import Site
from tests.leak.watch import Watch

Piece = tuple[str, bytes]


@dataclass
class Scene:
    """What sinks are read from: one recorder with what has been seen of it.

    Attributes:
        site: The recorder.
        watch: What its processes wrote.
        pids: Processes to look into; those that are gone are passed over.
        urls: Pages that are read, by the client to read them with.
    """

    site: Site
    watch: Watch
    pids: set[int] = field(default_factory=set)
    urls: list[tuple[httpx2.Client, str]] = field(default_factory=list)

    @property
    def home(self) -> Home:
        """Where the recorder lives."""
        return Home(self.site.home.root)

    @cached_property
    def settings(self) -> Config:
        """What its configuration says; it is hundreds of lines, and is read once."""
        return read_config(self.home.config)

    @property
    def epochs(self) -> EpochKeys:
        """The keys that open its recordings."""
        home, told = self.home, self.settings.storage.private_keys
        return EpochKeys(home.root / "keys" / "epochs", Path(told) if told else home.private_keys)


Read = Callable[[Scene], Iterator[Piece]]
Plant = Callable[[Scene, bytes, str, ExitStack], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """One kind of place.

    Attributes:
        name: As the report calls it.
        read: Yields what is there now.
        plant: Puts audio and digits there; what it needs is undone with the stack.
        files: Patterns below the recorder's folder, or absolute, that belong to it; ``*`` stays within one part.
        is_audio: Whether audio can be there at all; a plant of digits only otherwise.
        is_log: Whether its lines are searched for digits that are said one by one.
        hides_numbers: Whether full telephone numbers must not be in it either.
    """

    name: str
    read: Read
    plant: Plant
    files: tuple[str, ...] = ()
    is_audio: bool = True
    is_log: bool = False
    hides_numbers: bool = False
