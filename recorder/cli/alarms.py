"""`recorder alarms`: which alarms stand, which have ended, and their acknowledgement. Talks to the daemon's socket."""

from typing import Annotated, Any

import typer

from recorder.cli.context import LazyHomeContext, LazyPersonContext
from recorder.cli.live import ask, sign_in_for
from recorder.cli.output import fail, fail_unknown, print_json, say
from recorder.permissions import Act
from recorder.rules.alarm_book import acknowledgement_problem
from recorder.rules.alarms import ALARMS, advice_on

_OPTIONS = {"remark": "--remark", "hours": "--for"}


def list_alarms(
    context: LazyHomeContext,
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended, newest first, instead.")] = False,
) -> None:
    """List the alarms that stand, since when, and who has acknowledged them."""
    found: dict[str, Any] = ask(context.home, lambda client: client.alarms())
    if context.json:
        print_json(found)
        return
    rows = found["ended" if ended else "standing"]
    if not rows:
        say("no alarm has ended yet" if ended else "there is no alarm")
    for one in rows:
        node = f", {one['node']}" if one.get("node") else ""
        until = f" until {one['ended_at']} ({one['why']})" if ended else ""
        say(f"{one['name']} ({one['count']}{node}) since {one['since']}{until}: {advice_on(one['name']).means}")
        if (said := one["acknowledged"]) is not None:
            say(f"  acknowledged by {said['by']} at {said['at']} until {said['until']}: {said['remark']}")


def acknowledge(
    context: LazyPersonContext,
    alarm: Annotated[
        str,
        typer.Argument(metavar="ALARM", help="From `recorder health`.", autocompletion=lambda: sorted(ALARMS)),
    ],
    remark: Annotated[str, typer.Option("--remark", metavar="TEXT", help="What you found, or do about it.")],
    hours: Annotated[
        float, typer.Option("--for", metavar="HOURS", help="For how many hours nobody else has to act.")
    ] = 24.0,
) -> None:
    """Acknowledge an alarm: `recorder health` is ok again although it stands, until the time is over.

    An alarm about something that has happened ends with this. One that lasts ends with its cause.
    """
    if alarm not in ALARMS:
        fail_unknown(alarm, ALARMS, what="an alarm")
    person = sign_in_for(context, Act.SEE_SYSTEM, "to acknowledge an alarm", subject="")
    if (problem := acknowledgement_problem(remark, hours)) is not None:
        fail(f"{_OPTIONS[problem[0]]}: {problem[1]}", 2)
    found = ask(context.home, lambda client: client.acknowledge_alarm(alarm, person=person, remark=remark, hours=hours))
    how = f"acknowledged until {found['acknowledged']['until']}" if found["lasts"] else "acknowledged, and so ended"
    context.tell(found, f"{alarm} is {how}")
