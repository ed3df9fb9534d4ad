"""The registry of sinks: every place that may outlive a secret, how to read it, and how to plant one in it.

`SINKS` is the table; `docs/leak-suite.md` says how to add to it. A sink yields named pieces of bytes. Where nothing but
the file system is known of a place it is a pattern of files; `unregistered` names what the recorder wrote to elsewhere.
"""

from tests.helpers.data_inventory import place_of
from tests.leak.file_sinks import FILE_SINKS, fits
from tests.leak.process_sinks import PROCESS_SINKS
from tests.leak.scene import Scene, Sink
from tests.leak.server_sinks import FRONT_SINKS, OBJECT_SINKS, SERVER_SINKS
from tests.leak.watch import Written

SINKS: tuple[Sink, ...] = (*FILE_SINKS, *PROCESS_SINKS)
"""Exports are a sink too, in `tests.leak.exports`: what they hold is compared, not searched byte for byte."""


def sinks_of(scene: Scene) -> tuple[Sink, ...]:
    """Return the sinks that a run has."""
    site = scene.site
    servers = ((site.database, SERVER_SINKS), (site.objects, OBJECT_SINKS), (site.front, FRONT_SINKS))
    return (*SINKS, *(sink for server, sinks in servers if server is not None for sink in sinks))


# --- what is in no row


def is_registered(scene: Scene, path: str) -> bool:
    """Tell whether a file that was written belongs to a sink, and to a row of the recorder's own list of places."""
    name = path.removesuffix(" (deleted)")
    folder = str(scene.site.folder) + "/"
    if not name.startswith(folder):
        return any(fits(name, pattern) for sink in SINKS for pattern in sink.files if pattern.startswith("/"))
    relative = name.removeprefix(folder)
    if not any(fits(relative, pattern) for sink in SINKS for pattern in sink.files):
        return False
    return not relative.startswith("home/") or place_of(relative.removeprefix("home/")) is not None


def unregistered(scene: Scene) -> list[Written]:
    """Return what the recorder's processes wrote to places that no sink covers."""
    scene.watch.look()
    return [written for written in list(scene.watch.written) if not is_registered(scene, written.path)]


def strangers_in(scene: Scene) -> list[str]:
    """Return the files in the recorder's folder that no sink covers, whoever wrote them."""
    ours = ("password", "first.wav", "second.wav")
    found = (path for path in scene.site.folder.rglob("*") if path.is_file() and path.name not in ours)
    return [str(path) for path in found if not is_registered(scene, str(path))]
