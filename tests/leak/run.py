"""A run of the leak suite: calls in waves, verdicts, copies and pages; its sinks are searched by `SinkSearch`."""

import gc
import itertools
import queue
import random
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from benchmarks.home import IN_KERNEL
from benchmarks.packet_path import PacketPath
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index, open_reader
from storage.index import Index
from storage.types import RecordingRow, Search
from tests.helpers.descriptors import make_room
from tests.helpers.recorder_home import HANGS_S
from tests.helpers.starvation import noting_starvation
from tests.leak import exports
from tests.leak.faults import Disk, freezing
from tests.leak.front import PBX, TRUNK, Front
from tests.leak.judge import judge
from tests.leak.media import STALL_S, Studio
from tests.leak.passage import TwiceRing
from tests.leak.plan import SESSIONS, Plan
from tests.leak.result import Result, Say, Searched
from tests.leak.ring import Lines, Ring
from tests.leak.scene import Scene
from tests.leak.search import DIGITS, Finder
from tests.leak.session import SessionRing
from tests.leak.signals import secret_symbols
from tests.leak.sink_search import SinkSearch
from tests.leak.site import MANAGER, Site, site
from tests.leak.watch import Watch

KILL_AFTER_S = (3.2, 5.6)
ROUND = 4
"""Calls that go round a recorder which was killed."""
TURN_S = 0.0005
"""How long another thread keeps a voice waiting."""


@contextmanager
def punctual() -> Iterator[None]:
    """Keep the suite's own voices from waiting for its other threads: no collection of garbage, and short turns."""
    turn_s = sys.getswitchinterval()
    gc.collect()
    gc.disable()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(turn_s)
        gc.enable()


class Run:
    """A recorder, telephones, and the calls between them; a context manager.

    Args:
        plans: The calls; their numbers are below the number of stretches.
        seed: Of the run.
        slots: Calls at the same time.
        say: Told of the progress.
        later: Calls that are made when the recorder has been started again, to have the kernel relay what it may.
        media: How packets pass.
        has_receivers: The recorder sends its audit log and events to other systems.
        has_database_server: The index is in PostgreSQL.
        has_object_store: Finished recordings are stored in an object store as well.
        has_front: Calls run through Kamailio.
        cluster: Of PostgreSQL, for the server to copy.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        *,
        seed: int,
        slots: int = 40,
        say: Say = lambda _: None,
        later: Sequence[Plan] = (),
        media: PacketPath = PacketPath.EPOLL,
        has_receivers: bool = True,
        has_database_server: bool = False,
        has_object_store: bool = False,
        has_front: bool = False,
        cluster: Path | None = None,
    ) -> None:
        self._has_front = has_front
        self._cluster = cluster
        own = {"has_database_server": has_database_server, "has_object_store": has_object_store}
        self._servers = {"has_receivers": has_receivers, **own}
        self.plans = [*plans, *later]
        self._turns = [turn for turn in (plans, later) if turn]
        self._media = media
        self.say = say
        self.slots = slots
        self.result = Result(seed)
        self.finder = Finder()
        self.rings: list[Ring] = []
        self._numbers: dict[int, Plan] = {}
        self._by_voice: dict[int, Ring] = {}
        self._stack = ExitStack()
        voices = [2 * p.number + side for p in self.plans for side in (0, 1)]
        self._symbols = dict(zip(voices, secret_symbols(voices), strict=True)) if voices else {}
        for voice, symbols in self._symbols.items():
            self.finder.add_voice(voice, symbols)
        for one in self.plans:
            if len(one.digits) >= DIGITS:
                self._numbers[self.finder.add_number(one.digits)] = one
        self.lines: Lines
        self.studio: Studio
        self.site: Site
        self.watch: Watch
        self.disk: Disk
        self.scene: Scene
        self.sinks: SinkSearch

    def __enter__(self) -> Self:
        make_room()
        stack = self._stack
        folder = Path(tempfile.mkdtemp(prefix="recorder-leak-"))
        front = stack.enter_context(closing(Front())) if self._has_front else None
        self.lines = Lines() if front is None else Lines(TRUNK, PBX)
        stack.callback(self.lines.close)
        self.studio = stack.enter_context(Studio())
        self.disk = Disk(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recorder-leak-shim-"))))
        made = site(
            folder, next_hop=self.lines.next_hop if front is None else "{}:{}".format(*front.address),
            slots=self.slots, edits=self._media.edits, front=front, cluster=self._cluster, **self._servers,
        )  # fmt: skip
        self.site = stack.enter_context(made)
        if front is not None:
            front.start(self.lines, self.site.home.sip)
            front.report = self.site.bypassed
        self.watch = stack.enter_context(Watch(lambda path: path.startswith(f"{folder}/")))
        self.site.unwatched = self.watch.paused
        self.scene = Scene(self.site, self.watch)
        self.sinks = SinkSearch(
            scene=self.scene, finder=self.finder, plans=self.plans, numbers=self._numbers, rings=self._by_voice,
            spare_voice=max(self._symbols, default=0) + 2, result=self.result, say=self.say,
        )  # fmt: skip
        self.result.how_watched = self.watch.how
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # --- calls

    def start(self, *, has_console: bool = True) -> None:
        """Start the recorder."""
        self.site.start(before=self.disk.before, has_console=has_console)
        self._know_processes()

    def _know_processes(self) -> None:
        self.watch.pids |= self.site.pids
        self.scene.pids = {self.site.home.pid} | ({self.site.console.pid} if self.site.console else set())

    def make_calls(self) -> None:
        """Make every call: those without faults, then with a stalled disk, with a frozen and a killed daemon.

        Of the last turn the killed ones are first: the daemon whose memory is searched at the end has had calls.
        """
        with punctual(), noting_starvation(lambda: self.site.home.pid, self.studio.note_stall, longer_than_s=STALL_S):
            for turn in self._turns[:-1]:
                self._make_calls(turn)
                self.site.home.edit(*IN_KERNEL)  # is read when it starts again
                self._kill(turn)
            self._kill(self._turns[-1])
            self._make_calls(self._turns[-1])
            health = self.site.home.health()["media"]
            self.result.relayed = health["relayed"]
            if fault := self._media.fault(health):
                self.result.faults.append(fault)
        self.result.latest_s = self.studio.latest_s
        self.result.unconfirmed = len(self.site.home.unconfirmed)

    def _kill(self, turn: Sequence[Plan]) -> None:
        killed = [p for p in turn if p.moment == "killed"]
        for start in range(0, len(killed), self.slots):
            self._killed_wave(killed[start : start + self.slots])

    def _make_calls(self, turn: Sequence[Plan]) -> None:
        waves: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "stalled": self.disk.stalling,
            "frozen": lambda: freezing(self.site.home.pid),
        }
        self._wave([p for p in turn if p.moment not in (*waves, "killed")])
        for moment, fault in waves.items():
            plans = [p for p in turn if p.moment == moment]
            if plans:
                with fault():
                    self._wave(plans)

    def _ring(self, plan: Plan, slot: int) -> Ring:
        symbols = (self._symbols[2 * plan.number], self._symbols[2 * plan.number + 1])
        kind = SessionRing if plan.trigger in SESSIONS else TwiceRing if plan.moment == "passed_twice" else Ring
        ring = kind(self.site, self.lines, self.studio, plan, symbols, slot)
        self.rings.append(ring)
        self._by_voice |= {voice.number: ring for voice in ring.voices}
        self.result.cells[plan.trigger, plan.moment] += 1
        return ring

    def _wave(self, plans: Sequence[Plan]) -> None:
        todo: queue.SimpleQueue[Plan] = queue.SimpleQueue()
        # In no order: commands and sign-ins that come all at once keep the suite's own voices waiting.
        for plan in random.Random(self.result.seed).sample(plans, len(plans)):
            todo.put(plan)
        done = itertools.count(1)

        def serve(slot: int) -> None:
            time.sleep(slot * 0.05)
            while True:
                try:
                    plan = todo.get_nowait()
                except queue.Empty:
                    return
                self._ring(plan, slot).run()
                number = next(done)
                if number % 25 == 0 or number == len(plans):
                    self.say(f"{number} of {len(plans)} calls, at most {self.studio.latest_s * 1000:.0f} ms late")

        threads = [threading.Thread(target=serve, args=(slot,)) for slot in range(min(self.slots, len(plans)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _killed_wave(self, plans: Sequence[Plan]) -> None:
        rings = [self._ring(plan, slot) for slot, plan in enumerate(plans)]
        threads = [threading.Thread(target=ring.run) for ring in rings]
        for thread in threads:
            thread.start()
            time.sleep(0.04)
        time.sleep(random.Random(plans[0].seed).uniform(*KILL_AFTER_S))
        for ring in rings:
            ring.is_cut = True
        self.site.kill()
        for thread in threads:
            thread.join()
        for ring in rings:
            ring.error = None  # the daemon was killed under it
        self._lead_round()
        self.site.restart(before=self.disk.before)
        self._know_processes()
        self.say(f"killed with {len(rings)} calls, and started again")

    def _lead_round(self) -> None:
        """While the recorder is dead, have some calls go round it."""
        front = self.site.front
        if front is not None:
            # Of calls that were made: those of the others would be taken for the ones that go round.
            cards = [ring.plan for ring in self.rings if len(ring.plan.digits) >= DIGITS]
            self.result.faults += front.lead_round(self.lines, self.site.numbers[0], cards[:ROUND])

    # --- verdicts

    def judge_calls(self) -> None:
        """Compare every call with what was kept of it."""
        home = Home(self.site.home.root)
        settings = read_config(home.config)
        index = open_index(home, settings)
        try:
            rows = self._rows(index)
            for ring in self.rings:
                found = rows[ring.plan.caller]
                if len(found) < ring.passages and not ring.is_cut:
                    self.result.faults.append(f"{ring.plan.name}: {len(found)} of {ring.passages} are in the index")
                kept = [open_reader(home, settings, row) for row in found if row.path is not None]
                self.result.verdicts += [judge(ring, reader, self.finder) for reader in kept or (None,)]
        finally:
            index.close()
        self.say(f"{len(self.rings)} recordings are compared")

    def _rows(self, index: Index) -> dict[str, list[RecordingRow]]:
        """Wait until every call is filed; return the rows by caller."""
        wanted = [ring for ring in self.rings if not ring.is_cut and ring.id]
        deadline = time.monotonic() + HANGS_S
        while True:
            rows: dict[str, list[RecordingRow]] = defaultdict(list)
            for row in index.find(Search(limit=100_000)):
                rows[row.caller].append(row)
            if all(len(rows[r.plan.caller]) >= r.passages for r in wanted) or time.monotonic() > deadline:
                return rows
            time.sleep(0.1)

    # --- exports

    def check_exports(self, most: int) -> None:
        """Export some recordings in every format, and look for what must not be in them."""
        for name, leak, form, size in exports.check(self.scene, self.rings, self.finder, most):
            searched = self.result.searched.setdefault(f"export as {form}", Searched())
            searched.pieces += 1
            searched.bytes += size
            if leak is not None:
                self.result.leaks.append((name, leak))
        self.say("exports are compared")

    def take_away(self) -> None:
        """Have the console make copies of two recordings, as a manager would take them away."""
        taken = 0
        with self.site.unwatched():
            kept = {row["id"] for row in self.site.home.rows() if row["path"]}  # not those that were discarded
        for ring in self.rings:
            if ring.id in kept and taken < 2:
                with self.site.unwatched():
                    self.site.home.give_leave(ring.id, account=MANAGER)
                path = f"/api/recordings/{ring.id}/export"
                body = {"format": "wav", "reason": "checking what a copy leaves behind"}
                browser = self.site.manager
                answer = browser.post(path, json=body, headers={"X-CSRF-Token": browser.csrf})
                taken += answer.status_code == httpx2.codes.OK
        if not taken:
            self.result.faults.append("the console made no copy of any recording")

    def pages(self) -> None:
        """Have the answers of daemon and console searched as well."""
        ids = [ring.id for ring in self.rings if ring.id][:5]
        socket_client = self.site.home.live
        self.scene.urls = [(socket_client, path) for path in ("/api/health", "/api/calls", "/api/agents")]
        if self.site.console is not None:
            manager: httpx2.Client = self.site.manager
            paths = ["/live", "/recordings", "/api/recordings?limit=1000", "/openapi.json", "/api/calls"]
            paths += [f"/recordings/{one}" for one in ids] + [f"/api/recordings/{one}" for one in ids]
            self.scene.urls += [(manager, path) for path in paths]
            scraped = [(self.site.http, f"{url}/metrics") for url in self.site.metrics]
            self.scene.urls += scraped
            if any(client.get(path).status_code != httpx2.codes.OK for client, path in scraped):
                self.result.faults.append("the metrics cannot be scraped")
