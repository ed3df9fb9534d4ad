"""Rounds of crash tests on a vault: processes work, are killed, the recorder starts again, and all is looked at."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from storage.audit_reading import newest_first
from storage.durable import make_folder
from storage.types import RecordingId
from tests.crash.vault_acts import ACTS, recover
from tests.crash.vault_site import KEPT_DAYS, ended_at, opened
from tests.crash.vault_truth import Check, Truth
from tests.crash.victims import Fate, Victim, start, wait

PAIRS = (
    ("record",), ("record",), ("record",), ("record", "sweep"), ("record", "erase"), ("record", "tend"),
    ("record", "hold"), ("sweep",), ("sweep",), ("erase",), ("erase",), ("tend",), ("tend",), ("hold",),
    ("sweep", "erase"), ("sweep", "hold"), ("rotate",), ("erase", "tend"), ("erase", "hold"), ("rotate",),
)  # fmt: skip
"""What happens in a round, by turns at random: alone, or at the same time."""
SPARED = (("record",), ("record",), ("hold",), ("record",), ("record",), ("erase",), ("tend",), ("sweep",))
"""The first rounds of a home, in which nobody is killed: there must be something to lose."""
_LATEST_KILL_S = 0.03
_SPARED_SHARE = 0.15
"""So many come to their end, or nothing would ever be swept or re-sealed as a whole."""


class Power(Protocol):
    """What happens to the disk when processes die."""

    @property
    def descriptor(self) -> int:
        """Return what a dying process turns off; -1 is nothing."""

    @property
    def log(self) -> int:
        """Return where processes write down what they do to the disk; -1 is nowhere."""

    def begin(self) -> None:
        """Prepare for a round."""

    def cut(self, rng: random.Random) -> None:
        """Forget what was not synced; nothing is open any more."""

    def close(self) -> None:
        """Give back what is held."""


class Mains:
    """Power that is never cut: a process dies, the system lives."""

    descriptor = log = -1

    def begin(self) -> None:
        pass

    def cut(self, rng: random.Random) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class Tally:
    """What a run came to.

    Attributes:
        kills: How often a process was killed, by its act.
        rounds: How many rounds there were.
        said: What the processes said to have done, counted.
        done: Entries of the audit log, by act.
        problems: Sentences, each with its round.
    """

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    said: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count another's too."""
        self.kills += other.kills
        self.rounds += other.rounds
        self.said += other.said
        self.done += other.done
        self.problems += other.problems


class VaultRun:
    """One home that lives through kills.

    Args:
        folder: Where it is made; what is in it is the run's.
        seed: Decides everything, but for how processes that work at the same time get on.
        power: What the disk does when a process dies.
        only: The only act that is killed, if one is given; the first rounds are as ever.
    """

    def __init__(
        self,
        folder: Path,
        seed: str,
        *,
        power: Power | None = None,
        only: str | None = None,
    ) -> None:
        self._folder = folder
        self._rng = random.Random(seed)
        self._power = power or Mains()
        self._pairs = [pair for pair in PAIRS if only in (None, *pair)]
        self._truth = Truth(is_powerless=power is not None)
        self._steps: dict[str, int] = {}
        self._now = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        self._backup: dict[Path, bytes] = {}
        self.tally = Tally(said=self._truth.said)
        with opened(folder, self._now) as site:
            site.epochs.ensure_epochs(self._now)
            site.vault.root.mkdir(mode=0o700)
            site.home.state.mkdir(mode=0o700)
            site.audit.append("home.made", "tests", "")

    @property
    def kills(self) -> int:
        """Return how many there were."""
        return sum(self.tally.kills.values())

    def close(self) -> None:
        """Give back what is held."""
        self._power.close()

    def round(self) -> None:
        """Work, die, start again, look."""
        self.tally.rounds += 1
        self._now += timedelta(hours=self._rng.randint(2, 18))
        number = self.tally.rounds - 1
        names = SPARED[number] if number < len(SPARED) else self._rng.choice(self._pairs)
        self._power.begin()
        self._work(names)
        self._power.cut(self._rng)
        self._bring_back()
        self._recover()
        with opened(self._folder, self._now) as site:
            problems = Check(site, self._truth).run()
            self.tally.done = Counter(entry.act for entry in newest_first(site.audit.path))
        where = f"round {self.tally.rounds} ({' with '.join(names)})"
        self.tally.problems += [f"{where}: {problem}" for problem in problems]

    def _work(self, names: Sequence[str]) -> None:
        victims = [self._start(name, ACTS[name]) for name in names]
        wait(victims, self._truth.hear)
        for victim in victims:
            self._count(victim)

    def _start(self, name: str, act: Any, *, is_mortal: bool = True) -> Victim:
        fate = self._fate(name) if is_mortal else Fate()
        seed = str(self._rng.random())
        return start(name, act, self._folder, self._now, seed, fate, self._power.log)

    def _fate(self, name: str) -> Fate:
        if self.tally.rounds <= len(SPARED) or self._rng.random() < _SPARED_SHARE:
            return Fate()
        if self._power.descriptor < 0 and self._rng.random() < 0.1:
            return Fate(after_s=self._rng.uniform(0.0005, _LATEST_KILL_S))
        most = self._steps.get(name, 60)
        return Fate(
            step=self._rng.randint(1, most + 2),
            is_torn=self._rng.random() < 0.25,
            power_fd=self._power.descriptor,
        )

    def _count(self, victim: Victim) -> None:
        if victim.is_killed:
            self.tally.kills[victim.name] += 1
        self._steps[victim.name] = max(self._steps.get(victim.name, 1), victim.steps)
        if victim.problem and self._power.descriptor < 0:
            self.tally.problems.append(f"round {self.tally.rounds}: {victim.name} failed: {victim.problem}")

    def _recover(self) -> None:
        """Start again, which may be killed too, until it comes to its end."""
        while True:
            is_mortal = self._power.descriptor < 0 and self._rng.random() < 0.25
            victim = self._start("recover", recover, is_mortal=is_mortal)
            wait([victim], self._hear_recovery)
            self._count(victim)
            if not victim.is_killed:
                return

    def _hear_recovery(self, line: dict[str, Any]) -> None:
        self._truth.hear(line)
        if line.get("problem") and line["what"] == "recovered":
            self.tally.problems.append(f"round {self.tally.rounds}: not recovered: {line['problem']}")

    # --- backups

    def _bring_back(self) -> None:
        """Now and then put back, as from a backup, what was deleted since; and take a new backup."""
        with opened(self._folder, self._now) as site:
            root = site.home.root
            gone = self._truth.gone
            back = {path: data for path, data in self._backup.items() if path.stem in gone}
            if back and self._rng.random() < 0.3:
                for path, data in back.items():
                    make_folder(path.parent)
                    path.write_bytes(data)
                self._truth.said["brought back"] += len({path.stem for path in back})
                self._backup = {}
            if not self._backup:
                self._backup = {
                    path: path.read_bytes()
                    for pattern in ("recordings/*/*/*/*/*.rec", "keys/sealed/*/*.key")
                    for path in root.glob(pattern)
                    if path.stem not in gone and self._is_soon_due(RecordingId(path.stem))
                }

    def _is_soon_due(self, recording: RecordingId) -> bool:
        return ended_at(recording, 0) + timedelta(days=KEPT_DAYS - 1) <= self._now


def run_homes(
    folder: Path,
    seed: int,
    kills: int,
    *,
    per_home: int,
    power: Callable[[Path], Power] | None = None,
    only: str | None = None,
    say: Callable[[int], None] = lambda _: None,
) -> Tally:
    """Run homes one after another until so many processes were killed; stops at the first home with a problem."""
    tally, number = Tally(), 0
    while sum(tally.kills.values()) < kills and not tally.problems:
        place = folder / f"home-{number}"
        place.mkdir()
        done = sum(tally.kills.values())
        with closing(VaultRun(place, f"{seed}/{number}", power=power(place) if power else None, only=only)) as run:
            while run.kills < min(per_home, kills - done) and not run.tally.problems:
                run.round()
                say(done + run.kills)
        tally.add(run.tally)
        tally.problems = [f"home {number}, {problem}" for problem in tally.problems]
        if not tally.problems:
            shutil.rmtree(place)
        number += 1
    return tally
