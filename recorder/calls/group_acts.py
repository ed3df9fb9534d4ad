"""Acts that reach more than one call: a pause every call at the extension, what is final the same conversation.

Which calls are one conversation is `recorder.calls.rules.conversation`'s. Call thread only.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from recorder.calls.acts import Act, PauseAnswer, Signature, new_act_id, signed
from recorder.calls.rules.conversation import Match, Passage, match
from recorder.calls.works import Works
from recorder.rules.pausing import AGENT, HOLD, Authority, Final, RefusedError
from storage.types import RecordingId

if TYPE_CHECKING:
    from recorder.calls.taped_call import TapedCall

_log = logging.getLogger(__name__)

BY = "rule:same_conversation"
"""Who shuts a recording because another one of the same conversation is shut."""

Done = list[tuple["TapedCall", Act]]
"""What was done to which call, the ones it was asked of first."""


class GroupActs:
    """The acts; knows which recordings are of one conversation.

    Args:
        recorded: Returns the calls with a recording that are in progress.
    """

    def __init__(self, recorded: "Callable[[], Collection[TapedCall]]") -> None:
        self._recorded = recorded
        self._noticed: defaultdict[RecordingId, set[RecordingId]] = defaultdict(set)
        """Symmetric: recordings that were found to be of one conversation. Those that have ended are left out."""

    # --- acts

    def pause(
        self,
        asked: "Sequence[TapedCall]",
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
        meant = self._meant(asked)
        return each(
            [*asked, *self._beside(asked, at)],
            lambda call: call.pause(reason, by, acts=acts, may_discard=may_discard and call in meant),
        )

    def resume(self, asked: "Sequence[TapedCall]", authority: Authority, by: str, *, token: str | None = None) -> Done:
        """Resume calls, and take from others at their extensions what the same acts closed there.

        Of several calls those that talk are meant, not those on hold.

        Raises:
            RefusedError: Nothing to clear, or not for this authority.
        """
        asked = _talking(asked)
        acts = frozenset[str]().union(*(call.book.acts_of(authority, token=token) for call in asked))
        done = each(asked, lambda call: call.resume(authority, by, token=token))
        others = self._beside(asked, is_joined=False)
        closed = [call for call in others if call.book.is_closed_by(acts)]
        for call in others:
            call.book.withdraw(acts)
        if closed:
            done += each(
                closed, lambda call: call.resume(authority, by, token=token, acts=acts), is_refused_quietly=True
            )
        return done

    def forgot(
        self, asked: "Sequence[TapedCall]", seconds: float | None, by: str, *, may_erase_alone: bool = True
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
        meant = self._meant(asked)
        others = [call for call in self._beside(asked) if call not in meant]
        done = each(
            [call for call in asked if call in meant] + [call for call in meant if call not in asked],
            lambda call: call.forgot(seconds, by, acts=acts, may_erase_alone=may_erase_alone),
            is_passed_on=True,
        )
        rest = [call for call in asked if call not in meant] + others
        return done + each(
            rest, lambda call: call.pause(AGENT, by, acts=acts, may_discard=False), is_refused_quietly=True
        )

    def one_conversation(self, calls: "Sequence[TapedCall]") -> "list[TapedCall]":
        """Return the calls of an extension that an act without a way back is of: the conversation that talks.

        Raises:
            RefusedError: There are several.
        """
        calls = _talking(calls)
        names = {call.conversation for call in calls}
        if len(names) > 1:
            raise RefusedError(
                f"{len(names)} conversations are at this extension, and this cannot be undone; say which call is meant"
            )
        return list(calls[:1])

    # --- which calls

    def same_conversation(self, call: "TapedCall") -> "list[TapedCall]":
        """Return the other recordings in progress of the same conversation."""
        noticed = self._noticed.get(call.id)
        if not noticed:
            return []
        return [one for one in self._recorded() if one.id in noticed and _match(call, one) is Match.SAME]

    def _meant(self, asked: "Sequence[TapedCall]") -> "list[TapedCall]":
        """Return the calls that are of the conversation an act was asked of."""
        found = list(_talking(asked))
        for call in tuple(found):
            found += [one for one in (*self.same_conversation(call), *call.twins) if one not in found]
        return found

    def _beside(
        self, asked: "Sequence[TapedCall]", at: Collection[str] = (), *, is_joined: bool = True
    ) -> "list[TapedCall]":
        """Return the other calls at the same extensions; without those to which an act is passed on anyhow."""
        numbers = frozenset(at or [number for call in asked for number in call.numbers])
        known = [one for call in asked for one in (call, *call.twins)]
        return [
            call
            for call in self._recorded()
            if call not in known and not numbers.isdisjoint(call.numbers) and (call.call.was_joined or not is_joined)
        ]

    # --- what changes by itself

    def joined(self, call: "TapedCall") -> None:
        """Look whether a call whose sides were joined is a conversation that is recorded already.

        Both recordings go on. What holds a pause of one holds it in the other, and what ended one for good ends the
        other.
        """
        before = self._noticed.get(call.id, set())
        for other in list(self._recorded()):
            if other is call or call.identity_changed_s is other.identity_changed_s is None:
                continue  # nearly all: this is asked of every call in progress, whenever one is joined
            found = _match(call, other)
            if found is Match.SAME and other.id not in before:
                self._relate(call, other)
            if found is not Match.NONE:
                _carry_over(call, other, found)
                _carry_over(other, call, found)
            if found is Match.SAME or other.id in before:
                other.tell()

    def ended(self, call: "TapedCall") -> None:
        """Forget a call."""
        noticed = self._noticed.pop(call.id, set())
        for other in noticed:
            self._noticed[other].discard(call.id)
        if noticed:
            for one in self._recorded():
                if one.id in noticed:
                    one.tell()

    def _relate(self, call: "TapedCall", other: "TapedCall") -> None:
        self._noticed[call.id].add(other.id)
        self._noticed[other.id].add(call.id)
        call.relates_to(other.id)
        other.relates_to(call.id)
        _log.warning(
            "calls %s and %s are one conversation, recorded twice: the PBX passes its transfers through the recorder",
            *((call.id, other.id) if call.began_s > other.began_s else (other.id, call.id)),
        )


def signatures(works: Works, done: Done, signature: Signature) -> "list[Future[PauseAnswer]]":
    """Sign an act for each call that it reached; those that it was not asked of are told through which it came."""
    first = done[0][0].id
    through = replace(signature, details={**signature.details, "through": first})
    return [signed(works, act, (signature if call.id == first else through).of(call.id)) for call, act in done]


def gathered(told: "Sequence[Future[PauseAnswer]]") -> "Future[PauseAnswer]":
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
    calls: "Iterable[TapedCall]",
    act: "Callable[[TapedCall], Act]",
    *,
    is_refused_quietly: bool = False,
    is_passed_on: bool = False,
) -> Done:
    """Do an act on calls; those that refuse it are left out.

    Args:
        calls: The calls.
        act: What is done to one.
        is_refused_quietly: Return nothing where every one of them refused it.
        is_passed_on: Leave out a call to which one before it has passed the act on: it would be done twice.

    Raises:
        RefusedError: Every one of them refused it.
    """
    done: Done = []
    refused: RefusedError | None = None
    for call in calls:
        if is_passed_on and any(call in before.twins for before, _ in done):
            continue
        try:
            done.append((call, act(call)))
        except RefusedError as error:
            refused = refused or error
    if not done and refused is not None and not is_refused_quietly:
        raise refused
    return done


def _talking(calls: "Sequence[TapedCall]") -> "Sequence[TapedCall]":
    """Return the calls that are not on hold; all of them where every one is."""
    return [call for call in calls if not call.is_held] or calls


def _passage(call: "TapedCall") -> Passage | None:
    ends = call.ends
    if ends is None or not call.call.was_joined:
        return None
    outside, officer = ends
    return Passage(
        began_s=call.began_s,
        identity_changed_s=call.identity_changed_s,
        outside=outside.number,
        is_claimed=outside.is_claimed,
        officer=officer.number,
        officers=frozenset(call.crew.extensions),
    )


def _match(one: "TapedCall", other: "TapedCall") -> Match:
    if one.numbers.isdisjoint(other.numbers):
        return Match.NONE
    mine, theirs = _passage(one), _passage(other)
    return Match.NONE if mine is None or theirs is None else match(mine, theirs)


def _carry_over(shut: "TapedCall", other: "TapedCall", found: Match) -> None:
    """Shut a recording as another one of the same conversation is shut."""
    for reason in sorted(shut.book.reasons - other.book.reasons - {HOLD}):
        acts = shut.book.acts.get(reason) or (new_act_id(),)
        shut.book.credit(reason, acts)
        _sign(shut, other, "call.pause", lambda r=reason, a=acts: other.pause(r, BY, acts=a, may_discard=False))  # type: ignore[misc]
    if found is not Match.SAME or other.book.final is not None:
        return
    if shut.book.final is Final.OPTED_OUT:
        _sign(shut, other, "call.opt_out", lambda: other.opt_out("opt_out", BY))
    elif shut.book.final is Final.DISCARDED:
        _sign(shut, other, "call.pause", lambda: other.pause(AGENT, BY))


def _sign(shut: "TapedCall", other: "TapedCall", name: str, act: Callable[[], Act]) -> None:
    signature = Signature(act=name, actor=BY, subject=other.id, details={"through": shut.id})
    try:
        signed(other.works, act(), signature)
    except RefusedError as error:
        _log.debug("call %s: %s", other.id, error)
