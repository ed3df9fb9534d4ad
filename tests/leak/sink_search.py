"""The sinks of a run are searched for its secrets, and each search is proven by a plant."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.leak import exports
from tests.leak.judge import Leak, owed_samples
from tests.leak.plan import Plan
from tests.leak.process_sinks import in_child
from tests.leak.result import Result, Say, Searched
from tests.leak.ring import Ring
from tests.leak.scene import Scene, Sink
from tests.leak.search import DIGITS, Finder, Hit, digits_said
from tests.leak.signals import secret_codes, secret_symbols
from tests.leak.sinks import sinks_of, strangers_in, unregistered

_PLANTED_NUMBER = "4929130718346275"


@dataclass(frozen=True, kw_only=True)
class SinkSearch:
    """Searches the sinks of a run.

    Attributes:
        scene: What the sinks are read from.
        finder: Knows the secrets of all calls.
        plans: The calls.
        numbers: The calls by the number that the finder has for their digits.
        rings: The calls that were made, by their voices.
        spare_voice: A voice that no call has: its secrets are planted.
        result: Gets what is found.
        say: Told of the progress.
    """

    scene: Scene
    finder: Finder
    plans: Sequence[Plan]
    numbers: Mapping[int, Plan]
    rings: Mapping[int, Ring]
    spare_voice: int
    result: Result
    say: Say

    def search(self, *names: str) -> None:
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
            plan = self.numbers.get(hit.voice)
            return (plan.name if plan is not None else "a plant"), hit.length
        ring = self.rings.get(hit.voice)
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
        self.result.written = len({written.path for written in self.scene.watch.written})

    # --- proofs

    def prove(self, *names: str) -> None:
        """Plant a secret in every sink in turn, or in some: the search must find it there, else it is blind."""
        planted = self.spare_voice
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
        symbols = secret_symbols([self.spare_voice])[0]
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

    def _prove_watch(self) -> None:
        """Write where nothing may be written, as a child of ours: it must be noticed."""
        stray = f"/var/tmp/recorder-leak-stray-{self.scene.site.home.root.parent.name}"
        inside = f"{self.scene.site.home.root}/forgotten.txt"
        with ExitStack() as undo:
            for path in (stray, inside):
                undo.callback(Path(path).unlink, missing_ok=True)
                in_child(self.scene, f"open({path!r}, 'w').write('x')", b"", "", undo)
            if not {stray, inside} <= {written.path for written in unregistered(self.scene)}:
                self.result.faults.append("a file written outside every sink was not noticed: the watch is blind")
            if inside not in strangers_in(self.scene):
                self.result.faults.append("a file in no sink was not noticed in the recorder's folder")
        self.scene.watch.forget(stray, inside)


def _not_found(sink: Sink, hits: Sequence[Hit]) -> str:
    """Return what was planted in a sink and is not among the hits: "audio", "digits", or ""."""
    has_audio = any(hit.form in ("alaw", "ulaw", "linear16") and hit.length >= 200 for hit in hits)
    if sink.is_audio and not has_audio:
        return "audio"
    return "" if any(hit.form == "digits" for hit in hits) else "digits"
