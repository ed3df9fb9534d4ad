"""Acts on several recordings: a pause acts on every call at an extension, a final act on the same conversation.

`recorder.calls.rules.conversation` says which calls are one conversation. Call thread only.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from recorder.calls.acts import ActEntry, PauseAnswer, PendingAct, audited, new_act_id
from recorder.calls.call_services import CallServices
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.conversation import ConversationFacts, Match, match
from recorder.rules.pausing import AGENT, HOLD, Authority, Final, RefusedError
from storage.types import RecordingId

_log = logging.getLogger(__name__)

BY = "rule:same_conversation"
"""The actor in the audit log when an act is applied to another recording of the same conversation."""

Target = TypeVar("Target")
Done = list[tuple[RecordingControls, PendingAct]]
"""The acts by recording, the requested ones first."""


class GroupActs:
    """Acts on several recordings, and which of them are of one conversation.

    Args:
        recorded: Returns the controls of the recordings in progress.
    """

    def __init__(self, recorded: Callable[[], Collection[RecordingControls]]) -> None:
        self._recorded = recorded
        self._related: defaultdict[RecordingId, set[RecordingId]] = defaultdict(set)
        """For each recording in progress the others of the same conversation; symmetric."""

    # --- acts

    def pause(
        self,
        asked: Sequence[RecordingControls],
        reason: str,
        by: str,
        *,
        at: Collection[str] = (),
        may_discard: bool = True,
    ) -> Done:
        """Pause calls, and every other call at their extensions; all gates are shut on return.

        Only recordings of the requested conversations may be discarded by their service's rule. Another call at the
        extension, on hold, has no card payment.

        Args:
            asked: The requested calls, at least one.
            reason: The pause reason.
            by: Who did it, as the audit log names them.
            at: The extensions; empty is all extensions of the requested calls.
            may_discard: False only pauses, whatever the service requires.

        Raises:
            RefusedError: Every recording refused the pause.
        """
        acts = (new_act_id(),)
        conversations = self._whole_conversations(asked)
        return act_on_each(
            [*asked, *self._others_there(asked, at)],
            lambda controls: controls.pause(
                reason, by, acts=acts, may_discard=may_discard and controls in conversations
            ),
        )

    def resume(
        self, asked: Sequence[RecordingControls], authority: Authority, by: str, *, token: str | None = None
    ) -> Done:
        """Resume calls, and clear the pauses that the same acts caused in other calls at their extensions.

        Of several calls, those that are not on hold are resumed.

        Raises:
            RefusedError: There is no reason that this authority may clear.
        """
        asked = _not_on_hold(asked)
        acts = frozenset[str]().union(
            *(controls.recording.pause_reasons.acts_of(authority, token=token) for controls in asked)
        )
        done = act_on_each(asked, lambda controls: controls.resume(authority, by, token=token))
        others = self._others_there(asked, is_joined=False)
        closed = [controls for controls in others if controls.recording.pause_reasons.is_closed_by(acts)]
        for controls in others:
            controls.recording.pause_reasons.withdraw(acts)
        if closed:
            done += act_on_each(
                closed, lambda controls: controls.resume(authority, by, token=token, acts=acts), may_refuse_all=True
            )
        return done

    def pause_retroactively(
        self, asked: Sequence[RecordingControls], seconds: float | None, by: str, *, may_erase_alone: bool = True
    ) -> Done:
        """Pause calls, and order the erasure of the last seconds of their conversations.

        Other calls at the same extensions are only paused.

        Args:
            asked: The requested calls, at least one.
            seconds: How far back; None is since the sides were joined.
            by: Who did it, as the audit log names them.
            may_erase_alone: False has every order wait for a second person, and discards nothing.

        Raises:
            RefusedError: Nothing of the calls is recorded.
        """
        acts = (new_act_id(),)
        erased = self._whole_conversations(asked)
        others = [controls for controls in self._others_there(asked) if controls not in erased]
        done = act_on_each(
            [controls for controls in asked if controls in erased]
            + [controls for controls in erased if controls not in asked],
            lambda controls: controls.pause_retroactively(seconds, by, acts=acts, may_erase_alone=may_erase_alone),
            passes_on=lambda earlier, controls: controls in earlier.twins,
        )
        paused_only = [controls for controls in asked if controls not in erased] + others
        return done + act_on_each(
            paused_only,
            lambda controls: controls.pause(AGENT, by, acts=acts, may_discard=False),
            may_refuse_all=True,
        )

    def one_conversation(self, calls: Sequence[RecordingControls]) -> list[RecordingControls]:
        """Return the call at an extension for an act that cannot be undone: the call that is not on hold.

        Raises:
            RefusedError: There are several conversations.
        """
        calls = _not_on_hold(calls)
        names = {self.conversation(controls) for controls in calls}
        if len(names) > 1:
            raise RefusedError(
                f"{len(names)} conversations are at this extension, and this cannot be undone; say which call is meant"
            )
        return list(calls[:1])

    # --- which calls

    def same_conversation(self, controls: RecordingControls) -> list[RecordingControls]:
        """Return the other recordings in progress of the same conversation."""
        related = self._related.get(controls.id)
        if not related:
            return []
        return [other for other in self._recorded() if other.id in related and _match(controls, other) is Match.SAME]

    def conversation(self, controls: RecordingControls) -> RecordingId:
        """Return the id of the oldest recording in progress of the same conversation."""
        same = [controls, *self.same_conversation(controls), *controls.twins]
        return min(same, key=_began_s).id

    def credit(self, controls: RecordingControls, reason: str) -> None:
        """Add a new act to a reason of the conversation's pause, so that undoing earlier acts does not clear it."""
        act = (new_act_id(),)
        for member in (controls, *self.same_conversation(controls)):
            if reason in member.recording.pause_reasons.reasons:
                member.recording.pause_reasons.credit(reason, act)

    def _whole_conversations(self, asked: Sequence[RecordingControls]) -> list[RecordingControls]:
        """Return the requested calls that are not on hold, and all other calls of their conversations."""
        found = list(_not_on_hold(asked))
        for controls in tuple(found):
            found += [other for other in (*self.same_conversation(controls), *controls.twins) if other not in found]
        return found

    def _others_there(
        self, asked: Sequence[RecordingControls], at: Collection[str] = (), *, is_joined: bool = True
    ) -> list[RecordingControls]:
        """Return the other calls at the same extensions, without twins: acts are passed on to those anyway."""
        numbers = frozenset(at or [number for controls in asked for number in controls.recording.call.numbers])
        covered = [member for controls in asked for member in (controls, *controls.twins)]
        return [
            controls
            for controls in self._recorded()
            if controls not in covered
            and not numbers.isdisjoint(controls.recording.call.numbers)
            and (controls.recording.table.was_joined or not is_joined)
        ]

    # --- events

    def joined(self, controls: RecordingControls) -> None:
        """Find out whether a call that was joined is of a conversation that another call records.

        Both recordings go on. Pause reasons and final states of each are applied to the other.
        """
        before = self._related.get(controls.id, set())
        for other in list(self._recorded()):
            if other is controls or controls.recording.identity_changed_s is other.recording.identity_changed_s is None:
                continue  # fast path for nearly all calls in progress
            found = _match(controls, other)
            if found is Match.SAME and other.id not in before:
                self._relate(controls, other)
            if found is not Match.NONE:
                carry_over(controls, other, found)
                carry_over(other, controls, found)
            if found is Match.SAME or other.id in before:
                other.recording.call.publish()

    def ended(self, controls: RecordingControls) -> None:
        """Remove a call that has ended."""
        related = self._related.pop(controls.id, set())
        for other in related:
            self._related[other].discard(controls.id)
        if related:
            for other_controls in self._recorded():
                if other_controls.id in related:
                    other_controls.recording.call.publish()

    def _relate(self, controls: RecordingControls, other: RecordingControls) -> None:
        self._related[controls.id].add(other.id)
        self._related[other.id].add(controls.id)
        controls.recording.relates_to(other.id)
        other.recording.relates_to(controls.id)
        older, newer = sorted((controls, other), key=_began_s)
        _log.warning(
            "call %s: the same conversation as call %s, recorded twice: the PBX passes its transfers through the"
            " recorder",
            newer.id,
            older.id,
        )


def _began_s(controls: RecordingControls) -> float:
    return controls.recording.clock.began_s


def audited_each(services: CallServices, done: Done, entry: ActEntry) -> "list[Future[PauseAnswer]]":
    """Write an audit entry for each call; entries of calls other than the first name the first as ``through``."""
    first = done[0][0].id
    through = replace(entry, details={**entry.details, "through": first})
    return [
        audited(services, act, (entry if controls.id == first else through).of(controls.id)) for controls, act in done
    ]


def combined(answers: "Sequence[Future[PauseAnswer]]") -> "Future[PauseAnswer]":
    """Return the first of several answers with the others in ``also``, once all are there.

    An error of any answer is the error of the result: a pause that is only partly stored is not acknowledged.
    """
    result: Future[PauseAnswer] = Future()
    _combine(answers, answers, result)
    return result


def _combine(
    left: "Sequence[Future[PauseAnswer]]", every: "Sequence[Future[PauseAnswer]]", result: "Future[PauseAnswer]"
) -> None:
    if left:
        left[0].add_done_callback(lambda _: _combine(left[1:], every, result))
        return
    error = next((answer.exception() for answer in every if answer.exception() is not None), None)
    if error is not None:
        result.set_exception(error)
        return
    first, *others = (answer.result() for answer in every)
    result.set_result(first.with_also(others))


def act_on_each(
    targets: Iterable[Target],
    act: Callable[[Target], PendingAct],
    *,
    may_refuse_all: bool = False,
    passes_on: Callable[[Target, Target], bool] = lambda _earlier, _target: False,
) -> list[tuple[Target, PendingAct]]:
    """Apply an act to each target; leave out those that refuse it.

    Args:
        targets: The targets, such as recordings.
        act: Applies the act to one target.
        may_refuse_all: Return an empty list if every target refuses, instead of raising.
        passes_on: Tells whether an earlier target passes the act on to a later one, which is then left out.

    Raises:
        RefusedError: Every target refused the act.
    """
    done: list[tuple[Target, PendingAct]] = []
    refused: RefusedError | None = None
    for target in targets:
        if any(passes_on(earlier, target) for earlier, _ in done):
            continue
        try:
            done.append((target, act(target)))
        except RefusedError as error:
            refused = refused or error
    if not done and refused is not None and not may_refuse_all:
        raise refused
    return done


def _not_on_hold(calls: Sequence[RecordingControls]) -> Sequence[RecordingControls]:
    """Return the calls that are not on hold; all calls if every call is."""
    return [controls for controls in calls if not controls.recording.call.is_held] or calls


def _facts_of(controls: RecordingControls) -> ConversationFacts | None:
    ends = controls.recording.call.ends
    if ends is None or not controls.recording.table.was_joined:
        return None
    outside, officer = ends
    return ConversationFacts(
        began_s=controls.recording.clock.began_s,
        identity_changed_s=controls.recording.identity_changed_s,
        outside=outside.number,
        is_claimed=outside.is_claimed,
        officer=officer.number,
        officers=frozenset(controls.recording.operators.extensions),
    )


def _match(one: RecordingControls, other: RecordingControls) -> Match:
    if one.recording.call.numbers.isdisjoint(other.recording.call.numbers):
        return Match.NONE
    facts, other_facts = _facts_of(one), _facts_of(other)
    return Match.NONE if facts is None or other_facts is None else match(facts, other_facts)


def carry_over(shut: RecordingControls, other: RecordingControls, found: Match) -> None:
    """Apply the pause reasons and the final state of one recording to another of the same conversation."""
    for reason in sorted(shut.recording.pause_reasons.reasons - other.recording.pause_reasons.reasons - {HOLD}):
        acts = shut.recording.pause_reasons.acts.get(reason) or (new_act_id(),)
        shut.recording.pause_reasons.credit(reason, acts)
        _apply_to(other, shut, "call.pause", lambda r=reason, a=acts: other.pause(r, BY, acts=a, may_discard=False))  # type: ignore[misc]
    if found is Match.SAME:
        carry_final_over(shut, other, BY)


def carry_final_over(shut: RecordingControls, other: RecordingControls, by: str) -> None:
    """Apply an opt-out or a discard of one recording to another; the service of the other says whether it discards."""
    if other.recording.pause_reasons.final is not None:
        return
    if shut.recording.pause_reasons.final is Final.OPTED_OUT:
        _apply_to(other, shut, "call.opt_out", lambda: other.opt_out("opt_out", by), by)
    elif shut.recording.pause_reasons.final is Final.DISCARDED:
        _apply_to(other, shut, "call.pause", lambda: other.pause(AGENT, by), by)


def _apply_to(
    other: RecordingControls, shut: RecordingControls, name: str, act: Callable[[], PendingAct], by: str = BY
) -> None:
    entry = ActEntry(act=name, actor=by, subject=other.id, details={"through": shut.id})
    try:
        audited(other.recording.services, act(), entry)
    except RefusedError as error:
        _log.debug("call %s: %s", other.id, error)
