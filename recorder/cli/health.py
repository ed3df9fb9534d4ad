"""`recorder health`: whether the daemon is well, and what to do about each of its alarms."""

import typer

from recorder.cli.context import LazyHomeContext
from recorder.cli.live import ask
from recorder.cli.output import print_json, say
from recorder.rules.alarms import advice_on


def health(context: LazyHomeContext) -> None:
    """Show whether the daemon is well, and what to do about its alarms.

    The exit code is 0 when all is well, and 1 when the daemon does not answer or has an alarm that nobody has
    acknowledged.
    """
    found = ask(context.home, lambda client: client.health())
    alarms, acknowledged = found["alarms"], found.get("acknowledged", {})
    if context.json:
        print_json(found)
    else:
        calls = "1 call" if found["calls"] == 1 else f"{found['calls']} calls"
        say(f"{found['status']}: {calls} in progress, SIP at {found['sip']}")
        drain = found.get("drain", {"state": "running"})  # a daemon of an earlier version has none
        if drain["state"] != "running":
            limit = "" if drain["left_s"] is None else f"; it leaves in {drain['left_s']:.0f} s at the latest"
            say(f"{drain['state']} since {drain['since']}: new calls are refused, {drain['refused']} so far{limit}")
        nodes = found.get("nodes", {})
        for name, count in sorted(alarms.items()):
            advice = advice_on(name)
            where = "".join(f", {node}" for node, one in nodes.items() if name in one["alarms"])
            said = acknowledged.get(name)
            by = "" if said is None else f" Acknowledged by {said['by']} until {said['until']}: {said['remark']}"
            say(f"{name} ({count}{where}): {advice.means} {advice.do}{by}")
    if found["status"] != "ok":
        raise typer.Exit(1)
