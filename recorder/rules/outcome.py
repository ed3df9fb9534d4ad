"""Derives the outcome of a call, with one reason, from facts. Pure.

An unknown fact means ``failed``: an alarm that needs explaining is better than a failure that nobody sees.
"""

from dataclasses import dataclass

from storage.types import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a call that has ended.

    Attributes:
        end: How the conversation, or the attempt at one, ended: ``caller_hung_up``, ``officer_hung_up``, ``busy``, ...
        blocked: Why recording was not permitted from the start, or None.
        discarded: The recording was discarded because of a card payment.
        unrecorded: Where the call was at its end if not recorded: ``voicemail``, or ``out_of_scope`` with somebody
            whose calls are not recorded; else None.
        kept_s: Seconds of audio kept in the longer channel.
        lost_s: Seconds lost because the writer did not keep up.
        is_one_way: Audio was kept from one side only.
        is_fax_suspected: A fax was suspected, so for a while nothing was kept.
        is_cut_off: One side stopped answering: nobody hung up, and the last words may be missing.
        fault: Why nothing, or nothing more, could be written, or None.
    """

    end: str
    was_joined: bool
    blocked: str | None = None
    opted_out: bool = False
    discarded: bool = False
    unrecorded: str | None = None
    kept_s: float = 0.0
    ended_paused: bool = False
    lost_s: float = 0.0
    is_one_way: bool = False
    is_fax_suspected: bool = False
    is_cut_off: bool = False
    fault: str | None = None


def settle(facts: Facts) -> tuple[Outcome, str]:
    """Return the outcome of a call and its reason."""
    if not facts.was_joined:
        return _unjoined(facts)
    if facts.blocked is not None:
        return Outcome.BLOCKED, facts.blocked
    if facts.discarded:
        return Outcome.BLOCKED, "discarded"
    if facts.opted_out:
        return (Outcome.PARTIAL if facts.kept_s > 0 else Outcome.BLOCKED), "opted_out"
    if facts.fault is not None:
        return (Outcome.PARTIAL if facts.kept_s > 0 else Outcome.FAILED), facts.fault
    if facts.ended_paused:
        return Outcome.PARTIAL, "ended_while_paused"
    if facts.unrecorded is not None and facts.kept_s <= 0:
        return Outcome.BLOCKED, facts.unrecorded
    if facts.kept_s <= 0:
        return Outcome.FAILED, "no_audio"
    if facts.is_fax_suspected:
        return Outcome.PARTIAL, "fax_suspected"
    if facts.lost_s > 0:
        return Outcome.PARTIAL, "audio_lost"
    if facts.is_cut_off:
        return Outcome.PARTIAL, facts.end
    if facts.is_one_way:
        return Outcome.PARTIAL, "one_way"
    return Outcome.RECORDED, facts.end


MEDIA_REFUSALS = frozenset({415, 488, 606})
"""Final responses that refuse an offer's media, not the call."""

_OURS = ("internal_error", "daemon_stopped", "ports_exhausted", "no_route")


def _unjoined(facts: Facts) -> tuple[Outcome, str]:
    if facts.fault is not None:
        return Outcome.FAILED, facts.fault
    if facts.end in _OURS:
        return Outcome.FAILED, facts.end
    if facts.discarded:
        return Outcome.BLOCKED, "discarded"
    if facts.opted_out:
        return Outcome.BLOCKED, "opted_out"
    return Outcome.NO_CONVERSATION, facts.end


def refusal_reason(status: int) -> str:
    """Return the outcome reason for an attempt that ended with a final SIP status."""
    known = {
        404: "unknown_number",
        408: "no_answer",
        480: "no_answer",
        486: "busy",
        487: "cancelled",
        415: "codec_refused",
        488: "codec_refused",
        600: "busy",
        603: "declined",
        606: "codec_refused",
    }
    return known.get(status, f"refused_{status}")
