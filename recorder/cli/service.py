"""`recorder run`, `console`, `up` and `demo`."""

import faulthandler
import logging
import signal
import subprocess
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from recorder.access.signing import ensure_key
from recorder.calls.notices import NoticeError
from recorder.cli.context import LazyServiceContext, ServiceContext
from recorder.cli.output import fail, say
from recorder.common.logs import LogFormat, is_json, log_to_stderr
from recorder.common.process_hardening import LimitError, forbid_dumps, lock_memory, take_short_turns
from recorder.config.toml_tables import ConfigError
from recorder.demo.phones.kinds import PhoneKind
from recorder.recordings.home_lock import AlreadyRunningError, console_held, daemon_process
from recorder.service.processes import NotReadyError, drain_and_stop, start, wait_ready
from storage.errors import KeyProblemError, StorageError

_log = logging.getLogger("recorder")

TO_CORRECT = 2
"""Exit code of `run` and `console` where another start is in vain until somebody corrects files: the units know it."""

VerboseOption = Annotated[bool, typer.Option("--verbose", help="Also log signalling, without bodies or digits.")]

ONE_USER = (
    "daemon and console run as one user of the operating system: an attacker who takes over the daemon can read and "
    "write the accounts, sign as anybody, and open the private keys stored here. See docs/security.md for two users"
)
"""Warning of `recorder up`."""


def _tell(sentence: str) -> None:
    """Print a message; where the log is JSON, as a line of the log, so that every line is an object."""
    if is_json():
        _log.info("%s", sentence)
    else:
        say(sentence)


def _fail(sentence: str, code: int = 1) -> NoReturn:
    """Print an error, as `_tell` does, and exit."""
    if is_json():
        _log.critical("%s", sentence)
        raise typer.Exit(code)
    fail(sentence, code)


def run(context: LazyServiceContext, verbose: VerboseOption = False) -> None:
    """Run the daemon: SIP, media and recording.

    SIGTERM and Ctrl-C stop it when the last call has ended; a second one ends the calls. SIGHUP reloads the
    configuration.
    """
    from recorder.service import run_daemon  # noqa: PLC0415 - the whole daemon, which other commands need not load

    log_to_stderr(is_verbose=verbose)
    faulthandler.enable()  # the watchdog sends SIGABRT: the log says where each thread was, without values
    take_short_turns()
    try:
        run_daemon.run(context.home.root)
    except (ConfigError, NoticeError, KeyProblemError, run_daemon.SetUpError) as error:
        _fail(str(error), TO_CORRECT)
    except (LimitError, StorageError, AlreadyRunningError, run_daemon.StartError) as error:
        _fail(str(error))


def console(context: ServiceContext, verbose: VerboseOption = False) -> None:
    """Run the console: the pages and the HTTP interface."""
    from recorder.service.run_console import ConsoleError, ConsoleSetUpError, serve  # noqa: PLC0415 - a web framework that other commands need not load

    if context.config.console.listen is None:
        fail("the console is off: set listen in [console] of recorder.toml", TO_CORRECT)
    log_to_stderr(context.config.log.format, is_verbose=verbose)
    forbid_dumps()
    lock_memory()
    take_short_turns()
    try:
        with console_held(context.home):
            serve(context.home, context.config)
    except ConsoleSetUpError as error:
        _fail(str(error), TO_CORRECT)
    except (ConsoleError, StorageError, AlreadyRunningError) as error:
        _fail(str(error))


def up(context: ServiceContext) -> None:
    """Run daemon and console together until Ctrl-C. If one ends, the other is stopped too.

    The daemon stops when the last call has ended, then the console; a second Ctrl-C ends the calls.
    """
    commands = ["run"] + (["console"] if context.config.console.listen else [])
    if context.config.log.format is LogFormat.JSON:
        log_to_stderr(LogFormat.JSON)
    if (process := daemon_process(context.home)) is not None:
        page = f", console on {context.config.console.url}" if context.config.console.listen else ""
        _fail(f"the recorder in {context.home.root} runs already: process {process}{page}")
    _tell(ONE_USER)
    ensure_key(context.home.root)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    children: list[subprocess.Popen[bytes]] = []
    codes: list[int] = []
    try:
        children.extend(start(context.home, command) for command in commands)  # also those before an interruption
        wait_ready(context.home, children[0])
        _tell(
            f"listening for SIP on {context.config.sip.listen}"
            + (f", console on {context.config.console.url}" if context.config.console.listen else "")
        )
        while all(child.poll() is None for child in children):
            time.sleep(0.2)
    except KeyboardInterrupt:
        _tell("stopping")
    except NotReadyError as error:
        _fail(str(error))
    finally:
        if children:
            codes = drain_and_stop(children[0], children[1:])
    if any(code not in (0, -signal.SIGTERM) for code in codes):
        _fail("daemon or console ended unexpectedly; see the messages above")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End automatically, with the recording's JSON as the last line.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Folder for the copy and the picture.")
    ] = Path("demo-output"),
    phone: Annotated[
        PhoneKind | None,
        typer.Option("--phone", help="Phone program: pjsua2 if installed, else baresip."),
    ] = None,
) -> None:
    """Show a recorded call: two phones talk, the officer pauses for a card number, the recording is checked."""
    from recorder.demo.story import DemoError, show  # noqa: PLC0415 - phones and plotting, which nothing else needs

    try:
        show(output, once=once, phone=phone)
    except DemoError as error:
        fail(str(error))
