"""Sinks of servers that a site of several machines has: PostgreSQL, an object store, and Kamailio."""

from collections.abc import Iterator
from contextlib import ExitStack

from tests.leak.scene import Piece, Scene, Sink


def _server_files(scene: Scene) -> Iterator[Piece]:
    assert scene.site.database is not None
    yield from scene.site.database.pieces()


def _server_log(scene: Scene) -> Iterator[Piece]:
    assert scene.site.database is not None
    yield from scene.site.database.log()


def _objects(scene: Scene) -> Iterator[Piece]:
    assert scene.site.objects is not None
    yield from scene.site.objects.pieces()


def _front_log(scene: Scene) -> Iterator[Piece]:
    assert scene.site.front is not None
    yield from scene.site.front.log()


def _bypassed(scene: Scene) -> Iterator[Piece]:
    assert scene.site.front is not None
    yield from scene.site.front.pieces()


def _into_server(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    assert scene.site.database is not None
    scene.site.database.plant(audio, digits, undo)


def _into_objects(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    assert scene.site.objects is not None
    scene.site.objects.plant(audio, digits, undo)


def _into_server_log(scene: Scene, _audio: bytes, digits: str, _undo: ExitStack) -> None:
    assert scene.site.database is not None
    scene.site.database.plant_log(digits)


def _into_front_log(scene: Scene, _audio: bytes, digits: str, _undo: ExitStack) -> None:
    assert scene.site.front is not None
    scene.site.front.plant_log(digits)


def _into_bypassed(scene: Scene, _audio: bytes, digits: str, _undo: ExitStack) -> None:
    assert scene.site.front is not None
    scene.site.front.plant(scene.site.numbers[0], digits)


SERVER_SINKS: tuple[Sink, ...] = (
    Sink(name="files of PostgreSQL", read=_server_files, plant=_into_server),
    Sink(name="log of PostgreSQL", read=_server_log, plant=_into_server_log, is_audio=False, is_log=True,
         hides_numbers=True),
)  # fmt: skip
"""Of a run whose index is in PostgreSQL."""

OBJECT_SINKS: tuple[Sink, ...] = (
    Sink(name="objects, their versions, and files of the gateway", read=_objects, plant=_into_objects),
)
"""Of a run that stores finished recordings in an object store."""

FRONT_SINKS: tuple[Sink, ...] = (
    Sink(name="log of Kamailio", read=_front_log, plant=_into_front_log, is_audio=False, is_log=True,
         hides_numbers=True),
    Sink(name="calls that went round: list and report", read=_bypassed, plant=_into_bypassed, is_audio=False,
         is_log=True, hides_numbers=True),
)  # fmt: skip
"""Of a run whose calls come by Kamailio."""
