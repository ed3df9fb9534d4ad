"""A run of the leak suite: calls in waves, verdicts, sinks, proofs of the sinks, and what came of it all."""

import gc
import itertools
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
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
from tests.leak.judge import Leak, Verdict, judge, owed_samples
from tests.leak.media import STALL_S, Studio
from tests.leak.passage import TwiceRing
from tests.leak.plan import SESSIONS, Plan
from tests.leak.process_sinks import in_child
from tests.leak.ring import Lines, Ring
from tests.leak.scene import Scene, Sink
from tests.leak.search import DIGITS, Finder, Hit, digits_said
from tests.leak.session import SessionRing
from tests.leak.signals import secret_codes, secret_symbols
from tests.leak.sinks import sinks_of, strangers_in, unregistered
from tests.leak.site import MANAGER, Site, site
from tests.leak.watch import Watch

Say = Callable[[str], None]
KILL_AFTER_S = (3.2, 5.6)
ROUND = 4
"""Calls that go round a recorder which was killed."""
TURN_S = 0.0005
"""How long another thread keeps a voice waiting."""
_PLANTED_NUMBER = "4929130718346275"


@dataclass(slots=True)
class Searched:
    """What was searched of a sink in a run."""

    bytes: int = 0
    pieces: int = 0
    is_proven: bool | None = None


@dataclass(slots=True)
class Result:
    """What came of a run; see `tests.leak.report`."""

    seed: int
    verdicts: list[Verdict] = field(default_factory=list)
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    searched: dict[str, Searched] = field(default_factory=dict)
    leaks: list[tuple[str, Leak]] = field(default_factory=list)
    """What was found in sinks, by the call's name."""
    faults: list[str] = field(default_factory=list)
    how_watched: str = ""
    relayed: int = 0
    """Packets that the kernel relayed for the last daemon."""
    written: int = 0
    latest_s: float = 0.0
    unconfirmed: int = 0
    """How many acts the recorder got no CPU to confirm."""
    took_s: float = 0.0

    @property
    def all_leaks(self) -> list[tuple[str, Leak]]:
        """Every leak, in containers and elsewhere."""
        return [(v.name, leak) for v in self.verdicts for leak in v.leaks] + self.leaks

    @property
    def all_faults(self) -> list[str]:
        """Everything else that is wrong."""
        return self.faults + [f"{v.name}: {fault}" for v in self.verdicts for fault in v.faults]

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing was found and nothing went wrong."""
        return not self.all_leaks and not self.all_faults


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

    # --- sinks

    def search_sinks(self, *names: str) -> None:
        """Search every sink, or some, as they are now."""
        sinks = sinks_of(self.scene)
        for sink in sinks:
            if not names or sink.name in names:
                for leak in self._search(sink):
                    self.result.leaks.append(leak)
        self.say(f"{len(names) or len(sinks)} sinks are searched")

    def _search(self, sink: Sink) -> Iterator[tuple[str, Leak]]:
        searched = self.result.searched.setdefault(sink.name, Searched())
        for label, data in sink.read(self.scene):
            searched.pieces += 1
            searched.bytes += len(data)
            where = f"{sink.name}: {label}"
            for hit in self.finder.find(data):
                name, length = self._whose(hit, is_container=sink.name.startswith("containers"))
                if length:
                    what = f"secret {hit.form}"
                    yield name, Leak(sink=where, what=what, offset=hit.offset, length=length)
            if sink.is_log or sink.hides_numbers:
                yield from self._lines(sink, where, data)

    def _whose(self, hit: Hit, *, is_container: bool) -> tuple[str, int]:
        """Return the call of a hit, and how many samples of it are owed; those in containers have been judged."""
        if hit.form in ("digits", "event codes"):
            plan = self._numbers.get(hit.voice)
            return (plan.name if plan is not None else "a plant"), hit.length
        ring = self._by_voice.get(hit.voice)
        if ring is None:
            return f"voice {hit.voice}", hit.length
        return ring.plan.name, 0 if is_container else owed_samples(ring, hit.voice, hit.index, hit.length)

    def _lines(self, sink: Sink, where: str, data: bytes) -> Iterator[tuple[str, Leak]]:
        text = data.decode("utf-8", "replace")
        lines = text.splitlines()
        for plan in self.plans:
            kind = digits_said(lines, plan.digits) if len(plan.digits) >= DIGITS and sink.is_log else None
            if kind is not None:
                yield (
                    plan.name,
                    Leak(sink=where, what=f"digits one by one: {kind[:120]}", offset=0, length=len(plan.digits)),
                )
            at = text.find(plan.caller) if sink.hides_numbers else -1
            if at >= 0:
                yield plan.name, Leak(sink=where, what="the caller's number", offset=at, length=len(plan.caller))

    def check_places(self) -> None:
        """Fail for every file that was written to a place that no sink covers."""
        for written in unregistered(self.scene):
            self.result.faults.append(f"process {written.pid} wrote {written.path}, which no sink covers")
        self.result.faults += [
            f"{path} is in the recorder's folder and no sink covers it" for path in strangers_in(self.scene)
        ]
        self.result.written = len({written.path for written in self.watch.written})

    # --- proofs

    def prove_sinks(self, *names: str) -> None:
        """Plant a secret in every sink in turn, or in some: the search must find it there, else it is blind."""
        planted = self._spare_voice()
        symbols = secret_symbols([planted])[0]
        prover = Finder()
        prover.add_voice(planted, symbols)
        prover.add_number(_PLANTED_NUMBER)
        sinks = [sink for sink in sinks_of(self.scene) if not names or sink.name in names]
        for number, sink in enumerate(sinks):
            audio = secret_codes(symbols[number * 400 : number * 400 + 200], 8)
            with ExitStack() as undo:
                undo.callback(setattr, self.scene, "pids", self.scene.pids)
                self.scene.pids = set()  # those of the recorder have been looked into
                sink.plant(self.scene, audio, _PLANTED_NUMBER, undo)
                hits: list[Hit] = []
                for _, data in sink.read(self.scene):
                    hits += prover.find(data)
                    if not _not_found(sink, hits):
                        break
            self._note_proof(sink, hits)

    def prove_exports(self) -> None:
        """Plant a secret in a recording that is exported in each format; and files that the watch has to notice."""
        symbols = secret_symbols([self._spare_voice()])[0]
        for form, is_found in exports.prove(self.scene, secret_codes(symbols[-8000:], 8)).items():
            proven = self.result.searched.setdefault(f"export as {form}", Searched())
            proven.is_proven = is_found
            if not is_found:
                self.result.faults.append(f"a secret planted in a recording is not found in its export as {form}")
        self._prove_watch()
        self.say("every sink is proven by a plant")

    def _note_proof(self, sink: Sink, hits: list[Hit]) -> None:
        missing = _not_found(sink, hits)
        self.result.searched.setdefault(sink.name, Searched()).is_proven = not missing
        if missing:
            self.result.faults.append(f"{sink.name}: planted {missing} were not found: the search is blind there")

    def _spare_voice(self) -> int:
        return max(self._symbols, default=0) + 2

    def _prove_watch(self) -> None:
        """Write where nothing may be written, as a child of ours: it must be noticed."""
        stray = f"/var/tmp/recorder-leak-stray-{self.site.home.root.parent.name}"
        inside = f"{self.site.home.root}/forgotten.txt"
        with ExitStack() as undo:
            for path in (stray, inside):
                undo.callback(Path(path).unlink, missing_ok=True)
                in_child(self.scene, f"open({path!r}, 'w').write('x')", b"", "", undo)
            if not {stray, inside} <= {written.path for written in unregistered(self.scene)}:
                self.result.faults.append("a file written outside every sink was not noticed: the watch is blind")
            if inside not in strangers_in(self.scene):
                self.result.faults.append("a file in no sink was not noticed in the recorder's folder")
        self.watch.forget(stray, inside)

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


def _not_found(sink: Sink, hits: Sequence[Hit]) -> str:
    """Return what was planted in a sink and is not among the hits: "audio", "digits", or ""."""
    has_audio = any(hit.form in ("alaw", "ulaw", "linear16") and hit.length >= 200 for hit in hits)
    if sink.is_audio and not has_audio:
        return "audio"
    return "" if any(hit.form == "digits" for hit in hits) else "digits"
