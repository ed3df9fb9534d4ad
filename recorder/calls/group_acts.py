"""Acts that reach more than one call: a pause every call at the extension, what is final the same conversation.

Which calls are one conversation is `recorder.calls.rules.conversation`'s. Call thread only.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from recorder.calls.acts import Act, ActEntry, PauseAnswer, audited, new_act_id
from recorder.calls.call_services import CallServices
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.conversation import ConversationFacts, Match, match
from recorder.rules.pausing import AGENT, HOLD, Authority, Final, RefusedError
from storage.types import RecordingId

_log = logging.getLogger(__name__)

BY = "rule:same_conversation"
"""Who shuts a recording because another one of the same conversation is shut."""

One = TypeVar("One")
Done = list[tuple[RecordingControls, Act]]
"""What was done to which call, the ones it was asked of first."""


class GroupActs:
    """The acts; knows which recordings are of one conversation.

    Args:
        recorded: Returns the calls with a recording that are in progress.
    """

    def __init__(self, recorded: Callable[[], Collection[RecordingControls]]) -> None:
        self._recorded = recorded
        self._related: defaultdict[RecordingId, set[RecordingId]] = defaultdict(set)
        """Symmetric: recordings that were found to be of one conversation. Those that have ended are left out."""

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
        """Pause calls and every other one that is at one of their extensions; all gates are shut when this returns.

        A recording is discarded by its service's rule only where the act was asked of its conversation: another
        caller, on hold, has paid nothing.

        Args:
            asked: The calls, at least one.
            reason: What is to hold the pause.
            by: Who, as the audit log names them.
            at: The extensions that are meant; none: all of the calls.
            may_discard: False: whoever pauses never drops a recording, whatever the service says.

        Raises:
            RefusedError: Every one was refused.
        """
        acts = (new_act_id(),)
        meant = self._whole_conversations(asked)
        return each(
            [*asked, *self._others_there(asked, at)],
            lambda controls: controls.pause(reason, by, acts=acts, may_discard=may_discard and controls in meant),
        )

    def resume(
        self, asked: Sequence[RecordingControls], authority: Authority, by: str, *, token: str | None = None
    ) -> Done:
        """Resume calls, and take from others at their extensions what the same acts closed there.

        Of several calls those that talk are meant, not those on hold.

        Raises:
            RefusedError: Nothing to clear, or not for this authority.
        """
        asked = _talking(asked)
        acts = frozenset[str]().union(
            *(controls.recording.pause_reasons.acts_of(authority, token=token) for controls in asked)
        )
        done = each(asked, lambda controls: controls.resume(authority, by, token=token))
        others = self._others_there(asked, is_joined=False)
        closed = [controls for controls in others if controls.recording.pause_reasons.is_closed_by(acts)]
        for controls in others:
            controls.recording.pause_reasons.withdraw(acts)
        if closed:
            done += each(
                closed, lambda controls: controls.resume(authority, by, token=token, acts=acts), is_refused_quietly=True
            )
        return done

    def pause_retroactively(
        self, asked: Sequence[RecordingControls], seconds: float | None, by: str, *, may_erase_alone: bool = True
    ) -> Done:
        """Order the last seconds of a conversation to be erased; every other call at the extension is paused only.

        Args:
            asked: The calls, at least one.
            seconds: How far back; None is from the joining.
            by: Who, as the audit log names them.
            may_erase_alone: False: every order waits for a second person, and nothing is discarded.

        Raises:
            RefusedError: Nothing of the calls is recorded.
        """
        acts = (new_act_id(),)
        meant = self._whole_conversations(asked)
        others = [controls for controls in self._others_there(asked) if controls not in meant]
        done = each(
            [controls for controls in asked if controls in meant]
            + [controls for controls in meant if controls not in asked],
            lambda controls: controls.pause_retroactively(seconds, by, acts=acts, may_erase_alone=may_erase_alone),
            is_passed_on=lambda before, one: one in before.twins,
        )
        rest = [controls for controls in asked if controls not in meant] + others
        return done + each(
            rest, lambda controls: controls.pause(AGENT, by, acts=acts, may_discard=False), is_refused_quietly=True
        )

    def one_conversation(self, calls: Sequence[RecordingControls]) -> list[RecordingControls]:
        """Return the calls of an extension that an act without a way back is of: the conversation that talks.

        Raises:
            RefusedError: There are several.
        """
        calls = _talking(calls)
        names = {self.conversation(controls) for controls in calls}
        if len(names) > 1:
            raise RefusedError(
                f"{len(names)} conversations are at this extension, and this cannot be undone; say which call is meant"
            )
        return list(calls[:1])

    # --- which calls

    def same_conversation(self, controls: RecordingControls) -> list[RecordingControls]:
        """Return the other recordings in progress of the same conversation."""
        noticed = self._related.get(controls.id)
        if not noticed:
            return []
        return [one for one in self._recorded() if one.id in noticed and _match(controls, one) is Match.SAME]

    def conversation(self, controls: RecordingControls) -> RecordingId:
        """Return the oldest recording in progress of the same conversation."""
        same = [controls, *self.same_conversation(controls), *controls.twins]
        return min(same, key=_began_s).id

    def credit(self, controls: RecordingControls, reason: str) -> None:
        """Have a reason that holds the conversation's pause given once more: it outlives what gave it before."""
        act = (new_act_id(),)
        for one in (controls, *self.same_conversation(controls)):
            if reason in one.recording.pause_reasons.reasons:
                one.recording.pause_reasons.credit(reason, act)

    def _whole_conversations(self, asked: Sequence[RecordingControls]) -> list[RecordingControls]:
        """Return the calls that are of the conversation an act was asked of."""
        found = list(_talking(asked))
        for controls in tuple(found):
            found += [one for one in (*self.same_conversation(controls), *controls.twins) if one not in found]
        return found

    def _others_there(
        self, asked: Sequence[RecordingControls], at: Collection[str] = (), *, is_joined: bool = True
    ) -> list[RecordingControls]:
        """Return the other calls at the same extensions; without those to which an act is passed on anyhow."""
        numbers = frozenset(at or [number for controls in asked for number in controls.recording.call.numbers])
        known = [one for controls in asked for one in (controls, *controls.twins)]
        return [
            controls
            for controls in self._recorded()
            if controls not in known
            and not numbers.isdisjoint(controls.recording.call.numbers)
            and (controls.recording.table.was_joined or not is_joined)
        ]

    # --- what changes by itself

    def joined(self, controls: RecordingControls) -> None:
        """Look whether a call whose sides were joined is a conversation that is recorded already.

        Both recordings go on. What holds a pause of one holds it in the other, and what ended one for good ends the
        other.
        """
        before = self._related.get(controls.id, set())
        for other in list(self._recorded()):
            if other is controls or controls.recording.identity_changed_s is other.recording.identity_changed_s is None:
                continue  # nearly all: this is asked of every call in progress, whenever one is joined
            found = _match(controls, other)
            if found is Match.SAME and other.id not in before:
                self._relate(controls, other)
            if found is not Match.NONE:
                _carry_over(controls, other, found)
                _carry_over(other, controls, found)
            if found is Match.SAME or other.id in before:
                other.recording.call.publish()

    def ended(self, controls: RecordingControls) -> None:
        """Forget a call."""
        noticed = self._related.pop(controls.id, set())
        for other in noticed:
            self._related[other].discard(controls.id)
        if noticed:
            for one in self._recorded():
                if one.id in noticed:
                    one.recording.call.publish()

    def _relate(self, controls: RecordingControls, other: RecordingControls) -> None:
        self._related[controls.id].add(other.id)
        self._related[other.id].add(controls.id)
        controls.recording.relates_to(other.id)
        other.recording.relates_to(controls.id)
        older, newer = sorted((controls, other), key=_began_s)
        _log.warning(
            "calls %s and %s are one conversation, recorded twice: the PBX passes its transfers through the recorder",
            newer.id,
            older.id,
        )


def _began_s(controls: RecordingControls) -> float:
    return controls.recording.clock.began_s


def audited_each(services: CallServices, done: Done, signature: ActEntry) -> "list[Future[PauseAnswer]]":
    """Sign an act for each call that it reached; those that it was not asked of are told through which it came."""
    first = done[0][0].id
    through = replace(signature, details={**signature.details, "through": first})
    return [
        audited(services, act, (signature if controls.id == first else through).of(controls.id))
        for controls, act in done
    ]


def combined(told: "Sequence[Future[PauseAnswer]]") -> "Future[PauseAnswer]":
    """Return the answer of an act on several calls: the first one's, with the others' in ``also``, once all are there.

    An error of any is the error of the whole: nobody may rely on a pause of which a part is not stored.
    """
    whole: Future[PauseAnswer] = Future()
    _gather(told, told, whole)
    return whole


def _gather(
    left: "Sequence[Future[PauseAnswer]]", every: "Sequence[Future[PauseAnswer]]", whole: "Future[PauseAnswer]"
) -> None:
    if left:
        left[0].add_done_callback(lambda _: _gather(left[1:], every, whole))
        return
    error = next((one.exception() for one in every if one.exception() is not None), None)
    if error is not None:
        whole.set_exception(error)
        return
    first, *others = (one.result() for one in every)
    whole.set_result(first.with_also(others))


def each(
    calls: Iterable[One],
    act: Callable[[One], Act],
    *,
    is_refused_quietly: bool = False,
    is_passed_on: Callable[[One, One], bool] = lambda _before, _one: False,
) -> list[tuple[One, Act]]:
    """Do an act on calls; those that refuse it are left out.

    Args:
        calls: The calls.
        act: What is done to one.
        is_refused_quietly: Return nothing where every one of them refused it.
        is_passed_on: Tells whether one passes the act on to another, which is left out then: it would be done twice.

    Raises:
        RefusedError: Every one of them refused it.
    """
    done: list[tuple[One, Act]] = []
    refused: RefusedError | None = None
    for one in calls:
        if any(is_passed_on(before, one) for before, _ in done):
            continue
        try:
            done.append((one, act(one)))
        except RefusedError as error:
            refused = refused or error
    if not done and refused is not None and not is_refused_quietly:
        raise refused
    return done


def _talking(calls: Sequence[RecordingControls]) -> Sequence[RecordingControls]:
    """Return the calls that are not on hold; all of them where every one is."""
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
    mine, theirs = _facts_of(one), _facts_of(other)
    return Match.NONE if mine is None or theirs is None else match(mine, theirs)


def _carry_over(shut: RecordingControls, other: RecordingControls, found: Match) -> None:
    """Shut a recording as another one of the same conversation is shut."""
    for reason in sorted(shut.recording.pause_reasons.reasons - other.recording.pause_reasons.reasons - {HOLD}):
        acts = shut.recording.pause_reasons.acts.get(reason) or (new_act_id(),)
        shut.recording.pause_reasons.credit(reason, acts)
        _sign(shut, other, "call.pause", lambda r=reason, a=acts: other.pause(r, BY, acts=a, may_discard=False))  # type: ignore[misc]
    if found is not Match.SAME or other.recording.pause_reasons.final is not None:
        return
    if shut.recording.pause_reasons.final is Final.OPTED_OUT:
        _sign(shut, other, "call.opt_out", lambda: other.opt_out("opt_out", BY))
    elif shut.recording.pause_reasons.final is Final.DISCARDED:
        _sign(shut, other, "call.pause", lambda: other.pause(AGENT, BY))


def _sign(shut: RecordingControls, other: RecordingControls, name: str, act: Callable[[], Act]) -> None:
    signature = ActEntry(act=name, actor=BY, subject=other.id, details={"through": shut.id})
    try:
        audited(other.recording.services, act(), signature)
    except RefusedError as error:
        _log.debug("call %s: %s", other.id, error)
