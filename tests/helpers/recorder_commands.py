"""Commands of `recorder`, run to their end in the process of the tests or as one of their own."""

import subprocess

from typer.testing import CliRunner

from recorder.__main__ import LASTING
from recorder.cli.cli import app
from tests.helpers import preloaded
from tests.helpers.signed_in import environment_for

ADMIN, PASSWORD = "founder", "seven tall cranes over the harbour"
HEARER = "hilda"
"""A manager, who hears and takes copies once they have leave; whoever changes accounts does neither."""


def run_apart(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `recorder` as a process to its end, whatever that is."""
    return preloaded.run(words, stdin=stdin, timeout_s=60)


def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `recorder` in this process to its end; what a program would end with a traceback is raised.

    A command that only reads, and names nobody, is the administrator's; one of agents is the manager's.
    """
    assert words[0] not in (*LASTING, "up", "demo"), f"`recorder {words[0]}` wants a process of its own: run_apart"
    environment = environment_for(words, reader=ADMIN, at_phones=HEARER)
    result = CliRunner().invoke(app, words, input=stdin, prog_name="recorder", env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


def must(*words: str) -> str:
    """Run a command that must succeed; returns its output."""
    done = run(*words)
    assert done.returncode == 0, f"recorder {words[0]}: exit {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout
