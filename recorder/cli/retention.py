"""`recorder retention show`: the schedule, the sweep, its dry run, and confirmations that it needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from recorder.access.database import AuditNote
from recorder.access.listening.appointments import Appointments
from recorder.cli.accounts import accounts_of
from recorder.cli.backup_carry import carry_deletions
from recorder.cli.context import CommandContext, LazyHomeContext, PersonContext
from recorder.cli.entries import audit, permit
from recorder.cli.identity import people_of
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, print_json, print_table, progress_bar, say
from recorder.common.home import Home
from recorder.common.plain_text import size_words
from recorder.permissions import Act, DeniedError, Person
from recorder.retention.file_removing import files_to_json
from recorder.retention.sweep import Sweeper
from recorder.retention.sweep_consent import Consent
from recorder.retention.sweep_consents import Consents
from recorder.retention.sweep_plan import Plan, PlanLine, Tally, damage_sentence
from recorder.retention.sweep_process import opened_sweeper
from recorder.retention.sweep_safeguards import Stop
from recorder.retention.sweep_state import SweepState, state_to_json
from recorder.rules import times
from recorder.rules.retention_periods import larger_share, put_into_force
from recorder.rules.retention_schedule import FIXED, SCHEDULE, DataClass
from storage.file_removals import FileRemovals

_SCHEDULE_COLUMNS = [
    ("what", "What"),
    ("days", "Days"),
    ("wanted", "Configured"),
    ("since", "From"),
    ("owner", "Owner"),
    ("why", "Why"),
]
_FIXED_COLUMNS = [("what", "What"), ("rule", "Kept"), ("owner", "Owner"), ("why", "Why")]
_PLAN_COLUMNS = [
    ("what", "What"),
    ("service", "Service"),
    ("days", "Days"),
    ("month", "Month"),
    ("count", "Due"),
    ("size", "Size"),
    ("held", "Held"),
    ("kinds", "Held by"),
    ("next_week", "Next week"),
]


def look(context: LazyHomeContext, dry_run: DryRunOption = False) -> None:
    """Show the periods in force and the last sweep; with --dry-run, what a sweep would delete now."""
    with _sweeping(context) as sweeper:
        if dry_run:
            _show_plan(sweeper, sweeper.plan(), json=context.json)
        else:
            _show_state(sweeper, sweeper.file.load(), context.zone, json=context.json)


def run(context: PersonContext) -> None:
    """Sweep now: delete what is due, as the daemon does each day."""
    with _sweeping(context) as sweeper:
        _permit(context, Act.RUN_RETENTION, {"share_confirmed": False})
        state = _swept(sweeper)
    _tell_swept(context, state)


def confirm_larger_share(context: PersonContext) -> None:
    """Let a sweep continue that stopped because too much is due, as one of two people; the second one's runs it.

    One of them must be the data protection officer or the deputy; neither may be ICT.
    """
    with _sweeping(context) as sweeper:
        person = context.sign_in("this")
        stopped = sweeper.plan().stopped
        if stopped is None or stopped.why is not Stop.SHARE:
            fail(stopped.sentence if stopped else "nothing has to be confirmed: `recorder retention run` sweeps")
        consent = _confirmed(context.home, sweeper, Stop.SHARE, person, due=sweeper.plan().due_recordings)
        if consent.second_by is None:
            _say_waits(context, consent, f"that {consent.due:,} recordings are deleted")
            return
        state = _swept(sweeper)
    _tell_swept(context, state)


def _swept(sweeper: Sweeper) -> SweepState:
    with progress_bar("deleting", 1.0) as progress:
        return sweeper.run(progress=progress, is_by_hand=True)


def _tell_swept(context: CommandContext, state: SweepState) -> None:
    carry_deletions(context)
    if context.json:
        print_json(state_to_json(state))
    else:
        _say_counts(state)
    if state.problem:
        fail(f"{state.problem}; see the messages above")


def confirm_shorter(context: PersonContext, dry_run: DryRunOption = False) -> None:
    """Apply periods that the configuration made shorter, and a larger daily share. DPO only.

    This deletes nothing.
    """
    with _sweeping(context) as sweeper:
        if dry_run:
            _show_plan(sweeper, sweeper.plan(is_shorter_confirmed=True), json=context.json)
            return
        wanted, larger = _unconfirmed(sweeper), _larger(sweeper)
        person = _permit(context, Act.SHORTEN_RETENTION, {"shorter": wanted})
        done = sweeper.confirm_shorter(person.actor)
    if context.json:
        print_json([{"key": one.name, "days": one.days, "before": one.in_force} for one in done])
        return
    if not done and not larger:
        say("no configured period is shorter than the one in force")
    for one in done:
        say(f"{one.name} is now {one.days} days; it was {one.in_force}")
    if larger:
        say(f"{larger}; the larger one is now in force")
    if done:
        say("the next sweep deletes what is due by that; see `recorder retention show --dry-run`")


def confirm_clock(context: PersonContext) -> None:
    """Confirm, as one of two people, that the clock is right, and that later times seen before were wrong.

    One of them must be the data protection officer or the deputy; neither may be ICT.
    """
    with _sweeping(context) as sweeper:
        person = context.sign_in("this")
        now = sweeper.now()
        until = sweeper.seen_later()
        if until is not None:
            consent = _confirmed(context.home, sweeper, Stop.CLOCK, person, due=0)
            if consent.second_by is None:
                _say_waits(context, consent, f"that the clock is right: {context.moment(now)}")
                return
            until = sweeper.confirm_clock(consent.second_by)
    if context.json:
        print_json({"now": now.isoformat(), "until": None if until is None else until.isoformat()})
    elif until is None:
        say(f"the clock says {context.moment(now)}; no later time was seen before")
    else:
        say(f"the clock is right: {context.moment(now)}; later times up to {context.moment(until)} were wrong")


def write_off(
    context: PersonContext,
    node: Annotated[str, typer.Argument(metavar="NODE", help='The node; "" for recordings of before nodes had names.')],
    reason: Annotated[str, typer.Option("--reason", help="How the disk was lost or destroyed.")] = "",
    dry_run: DryRunOption = False,
) -> None:
    """Confirm that a node's disk is destroyed, and with it its files of deleted recordings. DPO only.

    Otherwise the node itself removes them when it is back.
    """
    with _sweeping(context) as sweeper:
        removals = FileRemovals(sweeper.holds.database)
        document = {"node": node, "recordings": sum(one.count for one in removals.waiting() if one.node == node)}
        if dry_run:
            context.tell(
                {**document, "dry_run": True, "is_dry": True},
                f"{document['recordings']:,} recordings would be written off",
            )
            return
        person = context.sign_in("this")
        details = {"write_off": document}
        permit(context.home, Act.RECONCILE, person, reason=reason, subject="", operator=None, details=details)
        if not document["recordings"]:
            fail(f"nothing waits for the node {node!r}; `recorder retention show` lists those that something waits for")
        count = removals.write_off(node)
    context.tell(document, f"the files of {count:,} deleted recordings at node {node} count as destroyed with its disk")


@contextmanager
def _sweeping(context: CommandContext) -> Iterator[Sweeper]:
    with opened_sweeper(context.home, context.config) as sweeper:
        yield sweeper


def _permit(context: CommandContext, act: Act, details: dict[str, Any]) -> Person:
    person = context.sign_in("this")
    permit(context.home, act, person, reason="", subject="", operator=None, details=details)
    return person


def _confirmed(home: Home, sweeper: Sweeper, what: Stop, person: Person, *, due: int) -> Consent:
    """Record a person's confirmation that the sweep continues; exit if they may not give it."""
    engine = accounts_of(home)
    approvers = Appointments(engine, now=sweeper.now).approvers(people_of(home))
    try:
        return Consents(engine).give(
            person,
            approvers,
            what,
            due=due,
            now=sweeper.now(),
            enter=lambda note: audit(home, note, actor=person.actor),
        )
    except DeniedError as error:
        refused = AuditNote(act=f"{Act.CONFIRM_SWEEP}.refused", subject="", details={"what": str(what)})
        audit(home, refused, actor=person.actor, text=str(error))
        fail(str(error))


def _say_waits(context: CommandContext, consent: Consent, what: str) -> None:
    sentence = (
        f"you confirm {what}; a second person must confirm it within a day. "
        "One of the two must be the data protection officer or the deputy; neither may be ICT. Nothing was deleted"
    )
    document = {"consent": consent.id, "what": str(consent.what), "due": consent.due, "is_enough": False}
    context.tell(document, sentence)


def _unconfirmed(sweeper: Sweeper) -> list[str]:
    _, shorter = put_into_force(sweeper.periods, sweeper.file.load().in_force, is_confirmed=False)
    return [sentence for sentence in (*(one.sentence for one in shorter), _larger(sweeper)) if sentence]


def _larger(sweeper: Sweeper) -> str:
    return larger_share(sweeper.most_share, sweeper.file.load().most_share)


# --- the schedule and the last sweep


def _show_state(sweeper: Sweeper, state: SweepState, zone: ZoneInfo, *, json: bool) -> None:
    found, _ = put_into_force(sweeper.periods, state.in_force, is_confirmed=False)
    waiting = _unconfirmed(sweeper)
    files = FileRemovals(sweeper.holds.database).waiting()
    if json:
        schedule = [_scheduled(key, days, sweeper) for key, days in found.items()]
        print_json({**state_to_json(state), "unconfirmed": waiting, "in_force": found, "schedule": schedule,
                    "fixed": list(map(asdict, FIXED)), **files_to_json(files)})  # fmt: skip
        return
    print_table([_scheduled(key, days, sweeper) for key, days in found.items()], _SCHEDULE_COLUMNS, empty="")
    print_table(list(map(asdict, FIXED)), _FIXED_COLUMNS, empty="")
    for sentence in waiting:
        say(f"{sentence}: the DPO confirms it with `recorder retention confirm-shorter --as NAME`")
    if state.last_success is None:
        say("no sweep has succeeded yet; the daemon runs one each day")
    else:
        say(f"last sweep: {times.moment(state.last_success, zone)}")
        _say_counts(state)
    for problem in (state.stopped, state.problem):
        if problem:
            say(f"since then: {problem}")
    for one in files:
        say(
            f"{one.count:,} deleted recordings have a file on node {one.node or 'without a name'}, the oldest since "
            f"{times.moment(one.since, zone)}; that node removes them when it is back"
        )


def _scheduled(key: str, days: int, sweeper: Sweeper) -> dict[str, Any]:
    data = next((line.data for line in SCHEDULE.values() if line.key == key), DataClass.RECORDINGS)
    line, service = SCHEDULE[data], key.partition("/")[2]
    what = f"recordings of service {service}" if service else line.what
    wanted = sweeper.periods.get(key)
    return {
        "class": str(data), "service": service, "what": what, "days": days,
        "wanted": wanted, "since": line.since, "owner": line.owner, "why": line.why,
    }  # fmt: skip


def _say_counts(state: SweepState) -> None:
    counts = {name: count for name, count in state.counts.items() if count}
    size = counts.pop("bytes", 0)
    said = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
    say(f"{said} ({size_words(size)})" if size else said or "nothing was due")


# --- what a sweep would do


def _show_plan(sweeper: Sweeper, plan: Plan, *, json: bool) -> None:
    if json:
        print_json(plan.as_json())
        return
    lines = [shown for line in plan.lines for shown in _shown(line)]
    others: list[dict[str, Any]] = [{"what": str(data), "count": count} for data, count in plan.others.items() if count]
    if plan.claims or plan.claims_held:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(plan.claims_kinds.items()))
        line = {
            "what": "upheld claims",
            "count": plan.claims or "",
            "held": len(plan.claims_held) or "",
            "kinds": kinds,
        }
        others.append(line)
    print_table([*lines, *others], _PLAN_COLUMNS, empty="nothing is due now or within a week")
    due, held = _sum(plan, "due"), _sum(plan, "held")
    say(f"{due.count:,} calls of {size_words(due.bytes)} are due, {held.count:,} more are held; nothing was changed")
    say(f"{plan.due_recordings:,} of {plan.kept:,} recordings would be deleted; at most {plan.most_share:g} % in a day")
    if held.count:
        say("held recordings stay until their holds end; see `recorder holds list`")
    if damage := damage_sentence(plan.damaged):
        say(damage)
    if plan.larger:
        say(plan.larger)
    for one in plan.shorter:
        say(f"{one.sentence}; this is computed with the {'shorter' if plan.is_shorter_confirmed else 'longer'} one")
    if plan.stopped is not None:
        say(f"a sweep would delete nothing: {plan.stopped.sentence}")


def _sum(plan: Plan, name: str) -> Tally:
    tallies = [getattr(line, name) for line in plan.lines]
    return Tally(count=sum(one.count for one in tallies), bytes=sum(one.bytes for one in tallies))


def _shown(line: PlanLine) -> Iterator[dict[str, Any]]:
    """Yield a table row for each month of a line; the first has the held and upcoming counts."""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(line.kinds.items()))
    first: dict[str, Any] = {"held": line.held.count or "", "kinds": kinds, "next_week": line.soon.count or ""}
    for month, tally in sorted(line.months.items()) or [("", Tally())]:
        yield {
            "what": str(line.data), "service": line.service, "days": line.days, "month": month,
            "count": tally.count or "", "size": size_words(tally.bytes) if tally.bytes else "", **first,
        }  # fmt: skip
        first = {}
