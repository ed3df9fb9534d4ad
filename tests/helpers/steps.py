"""Programs that run one after another, what they said, and the document that tells of it."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LAST_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A program of a long run.

    Attributes:
        name: For the summary.
        command: Its words, after the interpreter.
        document: JSON that it writes; read into the summary, or None.
        environment: Variables that it has besides those of this process.
    """

    name: str
    command: tuple[str, ...]
    document: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a step ended: exit code, seconds, the last lines that it printed, its document."""

    name: str
    command: str
    exit_code: int
    seconds: float
    said: list[str]
    document: Any = None


def run(step: Step) -> Outcome:
    """Run a step and pass on what it prints as it comes."""
    began = time.monotonic()
    said: list[str] = []
    print(f"\n=== {step.name}: {' '.join(step.command)}", flush=True)
    with subprocess.Popen(
        [sys.executable, *step.command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **step.environment},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            said = [*said, line.rstrip()][-LAST_LINES:]
    return Outcome(
        name=step.name,
        command=" ".join(step.command),
        exit_code=process.returncode,
        seconds=round(time.monotonic() - began, 1),
        said=said,
        document=_document(step.document),
    )


def _document(path: Path | None) -> Any:
    if path is None or not path.exists():
        return None
    return json.loads(path.read_text())


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the document of a whole run."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT)
    return {
        "passed": all(outcome.exit_code == 0 for outcome in outcomes),
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or None,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "steps": [asdict(outcome) for outcome in outcomes],
    }
