"""`recorder selftest`: a call by two phones of its own through the running recorder, and whether it was recorded."""

from dataclasses import asdict
from typing import Annotated

import typer

from recorder.cli.context import LazyHomeContext
from recorder.cli.output import fail, print_json, say
from recorder.demo.phones.kinds import PhoneKind


def selftest(
    context: LazyHomeContext,
    phone: Annotated[
        PhoneKind,
        typer.Option("--phone", help="Phone program; the built-in one needs nothing to be installed."),
    ] = PhoneKind.BUILT_IN,
) -> None:
    """Call through the running recorder with two phones of its own, and check the recording.

    It checks that the notice is heard, both voices arrive and are recorded in their channels, a pause takes effect, no
    digit is written, and the recording is found and verifies. The recording is then deleted. Run it as root or the
    daemon's user. The exit code is 0 when all is well, and 1 when not.
    """
    from recorder.selftest.run import CannotRunError, SelfTest  # noqa: PLC0415 - numbers and phones, for this alone

    try:
        report = SelfTest(context.home, kind=phone, tell=say).run()
    except CannotRunError as error:
        fail(str(error))
    if context.json:
        print_json({"passed": report.passed, "failed": report.failed, **asdict(report)})
    else:
        for check in report.checks:
            say(f"{'ok   ' if check.passed else 'FAULT'} {check.sentence}")
        say("the recorder works" if report.passed else f"the recorder has a fault: {', '.join(report.failed)}")
    if not report.passed:
        raise typer.Exit(1)
