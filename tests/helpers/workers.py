"""Runs the tests in processes that are forked once the tests are collected: `--workers auto`.

To collect the tests takes five seconds of CPU. Each worker of pytest-xdist does it, in an interpreter of its own; here
it is done once. The first process hands out units of tests, in the order of `Units`, and shows what the workers
report; each worker makes its own session fixtures. A worker that dies fails the test that it was in, and another one
goes on with the rest.

A pytest plugin; `tests/conftest.py` loads it. Which test goes to whom is in `tests/helpers/units.py`.
"""

import atexit
import gc
import mmap
import os
import random
import signal
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Literal, NamedTuple, NoReturn

import pytest
from _pytest._io import TerminalWriter
from hypothesis.internal.entropy import deterministic_PRNG

from recorder.calls.notices import SHIPPED
from recorder.cli.cli import first_line
from recorder.cli.tree import COMMANDS
from tests.helpers import loader_process, preloaded, rewritten
from tests.helpers.descriptors import make_room
from tests.helpers.processors import PROCESSORS
from tests.helpers.prompts_once import make_ready
from tests.helpers.units import WORKER, Units

EACH = 3
"""Workers for each processor: much of the time is waiting."""
_BETWEEN = -1
"""In the place of a test's index."""
_REWRITING = pytest.StashKey["int | None"]()
"""The process that rewrites assertions."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    words = f"processes that share the tests; 0: none but this one; auto: {EACH} for each processor that may be used"
    parser.addoption("--workers", type=_count, default=0, help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Load the recorder for the workers, and rewrite assertions, while the tests are collected."""
    if config.getoption("workers") > 0 and not config.option.collectonly:
        folders = [config.invocation_params.dir / word for word in config.args]
        config.stash[_REWRITING] = rewritten.begin(config, [folder for folder in folders if folder.is_dir()])
        preloaded.load()


def _count(text: str) -> int:
    return EACH * PROCESSORS if text == "auto" else int(text)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Share the tests among the workers, if there are to be some; pytest's own loop goes on otherwise."""
    count: int = session.config.getoption("workers")
    if count < 1 or session.config.option.collectonly or session.testsfailed:
        return None
    rewritten.end(session.config.stash[_REWRITING])
    _prepare_once()
    random.seed()  # whoever is forked must not draw the same numbers
    _Team(session).run(min(count, len(session.items)))
    return True


def _prepare_once() -> None:
    """Do once what each worker would do for itself: most of them come to it."""
    loader_process.compile_pages()
    loader_process.make_commands()
    for words in COMMANDS:
        first_line(words)
    make_ready(SHIPPED)
    with deterministic_PRNG():  # registers its source of numbers, and looks through all that is in memory
        pass


@dataclass(eq=False)
class _Worker:
    """A worker, as the first process knows it.

    Attributes:
        number: Of its place; who takes the place of a dead one has the same.
        pid: Its process.
        line: Where it asks and reports.
        due: Indices of the tests that it has and has not ended.
    """

    number: int
    pid: int
    line: "Connection[Any, Any]"
    due: deque[int] = field(default_factory=deque)


class _Team:
    """The workers, from the first fork to the end of the last one."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._units = Units(session.items)
        self._workers: dict[Connection[Any, Any], _Worker] = {}
        self._places = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("i")
        """Index of the test that each worker is in, or `_BETWEEN`; each writes its own, in memory that all share."""

    def run(self, count: int) -> None:
        """Fork the workers and show what they report until all have ended."""
        _temporary(self._session.config).getbasetemp()  # made by one, before it is shared
        gc.collect()
        gc.freeze()  # a worker that looks through what was collected would copy it
        try:
            for number in range(count):
                self._start(number)
            while self._workers:
                for line in wait(list(self._workers)):
                    assert isinstance(line, Connection)
                    self._hear(self._workers[line])
        finally:
            for worker in self._workers.values():
                os.kill(worker.pid, signal.SIGTERM)
                os.waitpid(worker.pid, 0)
        session = self._session
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)

    def _start(self, number: int, due: Sequence[int] = ()) -> None:
        ours, theirs = Pipe()
        self._places[number] = _BETWEEN
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            for other in self._workers:
                other.close()
            _work(self._session, theirs, self._places, number, due)
        theirs.close()
        self._workers[ours] = _Worker(number=number, pid=pid, line=ours, due=deque(due))

    def _hear(self, worker: _Worker) -> None:
        try:
            kind, value = worker.line.recv()
        except (EOFError, OSError):
            self._end(worker)
            return
        if kind == "asks":
            unit = [] if self._is_over() else self._units.next(from_end=worker.number % 2 == 1)
            worker.due.extend(unit)
            worker.line.send(unit)
        else:
            index, reports = value
            worker.due.remove(index)
            self._show(self._session.items[index], reports)

    def _show(self, item: pytest.Item, reports: "list[_Passed | dict[str, Any]]") -> None:
        config = self._session.config
        for data in reports:
            if isinstance(data, dict):
                report = config.hook.pytest_report_from_serializable(config=config, data=data)
            else:
                report = pytest.TestReport(item.nodeid, item.location, {}, "passed", None, **data._asdict())
            config.hook.pytest_runtest_logreport(report=report)
        config.hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _is_over(self) -> bool:
        return bool(self._session.shouldfail or self._session.shouldstop)

    def _end(self, worker: _Worker) -> None:
        del self._workers[worker.line]
        worker.line.close()
        code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        at = self._places[worker.number]
        if at in worker.due:
            worker.due.remove(at)
            item = self._session.items[at]
            words = f"worker {worker.number} ended in it: exit code {code}"
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", words, "call")
            self._session.config.hook.pytest_runtest_logreport(report=report)
        elif code:
            raise RuntimeError(f"worker {worker.number} ended between two tests: exit code {code}")
        if worker.due and not self._is_over():
            self._start(worker.number, list(worker.due))


# --- in a worker


class _Passed(NamedTuple):
    """The report of a phase that passed and has nothing to show: nearly all are."""

    when: Literal["setup", "call", "teardown"]
    duration: float
    start: float
    stop: float


class _Reports:
    """Keeps the reports of a test until it is over."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reports: list[_Passed | dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep one."""
        if (
            report.passed
            and report.when
            and not (report.sections or report.user_properties or hasattr(report, "wasxfail"))
        ):
            self._reports.append(_Passed(report.when, report.duration, report.start, report.stop))
        else:
            self._reports.append(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def take(self) -> "list[_Passed | dict[str, Any]]":
        """Return what was kept, and keep it no more."""
        taken, self._reports = self._reports, []
        return taken


class _Terminal:
    """In the place of the terminal's reporter, for plugins that write to it: to what is captured of the test."""

    @property
    def _tw(self) -> TerminalWriter:
        return TerminalWriter(sys.stdout)


def _work(
    session: pytest.Session, line: "Connection[Any, Any]", places: "memoryview[int]", number: int, due: Sequence[int]
) -> NoReturn:
    """Be a worker: run tests until there are no more, and end this process."""
    code = 1
    try:
        reports = _Reports(session.config)
        _become(session.config, reports, number)
        _run(session, line, reports, places[number : number + 1], deque(due))
        atexit._run_exitfuncs()
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may go on where the first process goes on
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _become(config: pytest.Config, reports: _Reports, number: int) -> None:
    """Take leave of what belongs to the first process: terminal, captured output, temporary folder, last acts."""
    atexit._clear()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    make_room()
    gc.set_threshold(50_000, 20, 50)  # a run is short, and looking for garbage was a fortieth of its CPU
    os.environ[WORKER] = str(number)
    random.seed()
    plugins = config.pluginmanager
    plugins.unregister(name="terminalreporter")
    plugins.register(_Terminal(), "terminalreporter")
    plugins.register(reports, "worker reports")
    capture: Any = plugins.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()
    factory = _temporary(config)
    factory._given_basetemp, factory._basetemp = factory.getbasetemp() / f"w{number}", None


def _temporary(config: pytest.Config) -> Any:
    """Return what makes temporary folders; pytest has no other way to give each worker its own."""
    return config._tmp_path_factory  # type: ignore[attr-defined]


def _run(
    session: pytest.Session, line: "Connection[Any, Any]", reports: _Reports, place: "memoryview[int]", due: deque[int]
) -> None:
    def ask() -> None:
        line.send(("asks", None))
        due.extend(line.recv())

    if not due:
        ask()
    while due:
        index = due.popleft()
        if not due:
            ask()  # before the last one, so that what both use is not made twice
        following = session.items[due[0]] if due else None
        place[0] = index
        session.config.hook.pytest_runtest_protocol(item=session.items[index], nextitem=following)
        line.send(("ends", (index, reports.take())))
        place[0] = _BETWEEN
        if session.shouldfail or session.shouldstop:
            return
