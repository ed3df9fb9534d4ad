"""Fixtures of several folders: both engines of the database. And what every property test is to know."""

import functools
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from nacl.pwhash import argon2id

from audio.types import MediaIo, RelayOptions
from benchmarks.machine import has_io_uring
from benchmarks.postgres import PostgresServer
from recorder.access.pins import Costs
from recorder.service.kernel_relay import obstacle, read_means
from storage.database import Database, sqlite_url
from tests.helpers.accounts import CHEAP, write_down_additions
from tests.helpers.compiled_once import compile_once
from tests.helpers.extent import IS_FULL
from tests.helpers.json_results import watch as check_json_results
from tests.helpers.left_connections import watch_postgresql, watch_sqlite
from tests.helpers.prompts_once import make_ready_once
from tests.helpers.ready_files import put_index
from tests.helpers.temporary import leave_memory, use_memory
from tests.helpers.units import WORKER, rank

ROOT = Path(__file__).parents[1]
_PRIORITY = os.getpriority(os.PRIO_PROCESS, 0)
pytest_plugins = ["tests.helpers.report", "tests.helpers.workers"]

# How long an example may take is no property of ours: a busy machine would fail it. Speed is measured in benchmarks.
hypothesis.settings.register_profile("full", deadline=None)
# The same examples each time: `make test` says whether a change broke something, `make test-all` looks for what is new.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20, derandomize=True)
hypothesis.settings.load_profile("full" if IS_FULL else "quick")


if "MEDIA_IO" in os.environ:
    (RelayOptions.__init__.__kwdefaults__ or {})["io"] = MediaIo(os.environ["MEDIA_IO"])
write_down_additions()
compile_once()
make_ready_once()
check_json_results()
watch_sqlite()


def pytest_configure(config: pytest.Config) -> None:
    """Decide where temporary files are; put off collecting garbage until the tests are collected.

    A shell script that starts the tests with ``&`` has Ctrl-C ignored in them, and in all that they start.
    """
    use_memory(config)
    gc.disable()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Collect garbage again, but never look through what was imported and collected up to here: a third of a second."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remove temporary files, if the run passed."""
    leave_memory(session, exitstatus)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by folder: a stable sort, so that files stay whole."""
    items.sort(key=lambda item: rank(item.path.relative_to(ROOT / "tests").parts[0]))
    _skip_kernel_relay(items)
    _skip_io_uring(items)


def _skip_io_uring(items: list[pytest.Item]) -> None:
    """Skip what needs io_uring where this system does not allow it, as many containers; CI runs it and fails."""
    if "CI" in os.environ or has_io_uring():
        return
    for item in items:
        if item.get_closest_marker("io_uring"):
            item.add_marker(pytest.mark.skip(reason="io_uring is not allowed here: kernel.io_uring_disabled, or older"))


def _skip_kernel_relay(items: list[pytest.Item]) -> None:
    """Skip what needs the kernel relay where this machine has none, as a stock Debian 12; CI runs it and fails."""
    found = obstacle(read_means(), "127.0.0.1", ("lo",))
    if found is None or "CI" in os.environ:
        return
    for item in items:
        if item.get_closest_marker("kernel_relay"):
            item.add_marker(pytest.mark.skip(reason=f"{found.says}: {found.do}"))


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hash passwords, PINs and passphrases at the least cost in this process: a sign-in takes 0.2 s of two cores else.

    Processes that a test starts hash as in production.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recorder.access.password_hashes.PasswordHasher", lambda: CHEAP)
        patch.setattr("recorder.access.pins.Costs", functools.partial(Costs, passes=1, memory_kib=8))
        for name in ("OPSLIMIT", "MEMLIMIT"):  # of the passphrase of private keys
            patch.setattr(argon2id, f"{name}_MODERATE", getattr(argon2id, f"{name}_MIN"))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_sound_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have no sound device, whatever the machine has: a test that plays has a `SoundCard` of its own."""
    config = tmp_path_factory.mktemp("no-sound") / "asound.conf"
    config.write_text("pcm.!default { type hw card 31 }\n")  # PortAudio aborts the process over an empty file
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALSA_CONFIG_PATH", str(config))
        patch.setenv("JACK_NO_START_SERVER", "1")  # as PortAudio's first use sets it: daemons are forked as long as
        # no test changes the environment
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers keep a PostgreSQL cluster without databases, for `PostgresServer` to copy."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if WORKER in os.environ else own) / "cluster"


@pytest.fixture(scope="session", autouse=True)
def kept_priority() -> Iterator[None]:
    """Keep the priority of this process: some tests call what lowers it in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("recorder.common.child_process.os.nice", lambda _by: 0)
        yield
        assert os.getpriority(os.PRIO_PROCESS, 0) == _PRIORITY, "a test lowered the priority of its worker"


@pytest.fixture(scope="session")
def postgres(cluster: Path) -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole session; made when the first test asks for it.

    Its databases live for seconds: to look each minute whether one of them needs a vacuum takes 5 ms of CPU for each.

    The limit for connecting ends only a test that hangs. The recorder's own ones are 2 s and 5 s, and the server starts
    a process for each connection: where others take the CPUs, a new process waited 7 s for the first time that it ran.
    """
    watch_postgresql()
    server = PostgresServer(cluster=cluster, settings={"autovacuum": "off"}, connect_s=60)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, once on each engine."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "index.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def url_of_tables(postgres: PostgresServer) -> str:
    """URL of a database of the server that has the tables of this version and no rows: to copy it takes less CPU."""
    url = postgres.new_database()
    Database(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def ready_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without rows whose tables are made already, once on each engine."""
    if request.param == "sqlite":
        put_index(tmp_path / "index.sqlite")
        return sqlite_url(tmp_path / "index.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database(like=request.getfixturevalue("url_of_tables"))


@pytest.fixture
def database(ready_url: str) -> Iterator[Database]:
    """A database of this version without rows, once on each engine."""
    opened = Database(ready_url)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(autouse=True)
def _sites_are_closed() -> Iterator[None]:
    """Close what a test's sites have open: from Python 3.13 on, a connection that nobody closes is a warning."""
    yield
    if sites := sys.modules.get("tests.helpers.erasure_site"):
        sites.close_all()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the database server's user may enter, as pytest's own may not be."""
    with tempfile.TemporaryDirectory(prefix="recorder-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
