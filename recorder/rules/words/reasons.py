"""What each reason of an outcome means, and what to do about it. Pure data; docs/outcomes.md is made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from storage.types import Outcome

_RECORDED, _PARTIAL, _BLOCKED = Outcome.RECORDED, Outcome.PARTIAL, Outcome.BLOCKED
_NONE, _FAILED = Outcome.NO_CONVERSATION, Outcome.FAILED

NOTHING = "Nothing."
_LATER = "Nothing; the caller has to call again."
_PEER = "Look at that system's log and network at the time: power, network, session timers."
_DISK = "Repair it as `recorder health` and the daemon's log say, then run `recorder recordings verify --all`."
_SESSIONS = "Check what the session border controller sends ([SIPREC](integration/siprec.md))."


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A reason of an outcome.

    Attributes:
        outcomes: The outcomes with which it stands.
        means: What has happened, as sentences.
        to_do: What to do, as sentences; links are those of the documentation.
    """

    outcomes: tuple[Outcome, ...]
    means: str
    to_do: str = NOTHING


ENDS: Mapping[str, Explanation] = MappingProxyType(
    {
        "caller_hung_up": Explanation(
            outcomes=(_RECORDED,), means="The caller ended the conversation, and all of it was kept but for pauses."
        ),
        "officer_hung_up": Explanation(
            outcomes=(_RECORDED,), means="The officer ended the conversation, and all of it was kept but for pauses."
        ),
        "transferred": Explanation(
            outcomes=(_RECORDED,),
            means="The call went to somebody else without the recorder; it was recorded until then.",
            to_do="Nothing. If calls should be recorded after a transfer, see [transfers](calls.md#transfers).",
        ),
        "session_ended": Explanation(
            outcomes=(_RECORDED,), means="The session border controller ended the recording session, as with each call."
        ),
        "caller_unreachable": Explanation(
            outcomes=(_PARTIAL, _NONE),
            means="The caller's side stopped answering. Nobody hung up, and the last words may be missing.",
            to_do=_PEER,
        ),
        "officer_unreachable": Explanation(
            outcomes=(_PARTIAL, _NONE),
            means="The officer's side stopped answering. Nobody hung up, and the last words may be missing.",
            to_do=_PEER,
        ),
        "session_timeout": Explanation(
            outcomes=(_PARTIAL, _NONE),
            means="The client of a recording session stopped answering; the last words may be missing.",
            to_do=_PEER,
        ),
        "in_progress": Explanation(
            outcomes=(_FAILED,), means="The call is not over: the row will have its outcome when it is.",
            to_do="Wait for the end of the call. What a killed daemon left is filed when it starts again.",
        ),
    }
)  # fmt: skip
"""How a conversation ended."""

NO_CONVERSATION: Mapping[str, Explanation] = MappingProxyType(
    {
        "caller_gave_up_while_ringing": Explanation(
            outcomes=(_NONE,), means="The caller hung up while the officer's phone rang.", to_do=_LATER
        ),
        "caller_gave_up_during_notice": Explanation(
            outcomes=(_NONE,), means="The caller hung up while they heard the recording notice.",
            to_do="If there are many, make the notice shorter ([messages to callers](notices.md)).",
        ),
        "caller_gave_up_during_second_message": Explanation(
            outcomes=(_NONE,), means="The caller hung up while they heard the second message.",
            to_do="If there are many, make the message shorter ([messages to callers](notices.md)).",
        ),
        "officer_gave_up_while_ringing": Explanation(
            outcomes=(_NONE,), means="The officer, who called, hung up while the other phone rang."
        ),
        "officer_gave_up_during_notice": Explanation(
            outcomes=(_NONE,), means="The officer hung up while the other party heard the recording notice.",
            to_do="If there are many, tell officers to wait until the other party has heard the notice.",
        ),
        "officer_gave_up_during_second_message": Explanation(
            outcomes=(_NONE,), means="The officer hung up while the caller heard the second message."
        ),
        "busy": Explanation(
            outcomes=(_NONE,), means="The called phone was busy (SIP 486 or 600).", to_do=_LATER
        ),
        "no_answer": Explanation(
            outcomes=(_NONE,), means="Nobody answered, or the phone was not registered (SIP 408 or 480).",
            to_do="If it happens at one phone often, look at its registration at the PBX.",
        ),
        "cancelled": Explanation(
            outcomes=(_NONE,), means="The attempt was cancelled before an answer (SIP 487).", to_do=_LATER
        ),
        "declined": Explanation(
            outcomes=(_NONE,), means="The called phone declined the call (SIP 603).", to_do=_LATER
        ),
        "unknown_number": Explanation(
            outcomes=(_NONE,), means="The PBX knows no such number (SIP 404).",
            to_do="If the number is right, compare `[[route]]` with the numbers of the PBX.",
        ),
        "codec_refused": Explanation(
            outcomes=(_NONE,),
            means="One side offers or accepts none of PCMA, PCMU and G.722, or the wrong one of RTP and SRTP.",
            to_do="See the alarms `media_refused` and `caller_media_refused` ([alarms](alarms.md#alarms)).",
        ),
        "address_refused": Explanation(
            outcomes=(_NONE,), means="The caller's side named an audio address that the recorder does not send to.",
            to_do="See the alarm `caller_address_refused` ([alarms](alarms.md#alarms)).",
        ),
        "no_media": Explanation(
            outcomes=(_NONE, _RECORDED),
            means="One side answered without usable audio, or did not answer an offer, so the call was ended.",
            to_do="The daemon's log has the call: check the codecs and SDP of that side.",
        ),
    }
)  # fmt: skip
"""Why nobody talked; `refused_...` beside these has the SIP status of any other refusal."""

UNRECORDED: Mapping[str, Explanation] = MappingProxyType(
    {
        "discarded": Explanation(
            outcomes=(_BLOCKED,),
            means="A card payment was taken, and the service discards such calls (`card_payment = \"discard\"`).",
        ),
        "opted_out": Explanation(
            outcomes=(_PARTIAL, _BLOCKED),
            means="The caller did not want to be recorded. What was recorded before that is kept, if there was any.",
            to_do="Nothing. `erase_on_opt_out` says whether the part before is erased ([opt-outs](pausing.md)).",
        ),
        "ended_while_paused": Explanation(
            outcomes=(_PARTIAL,), means="The call ended while recording was paused, so its end is missing.",
            to_do="If an officer does so often, see `recorder reports pauses`.",
        ),
        "no_audio": Explanation(
            outcomes=(_FAILED,), means="The parties were connected, but no audio came to the recorder.",
            to_do="Check firewall, `[media] ports` and the audio addresses of both sides; try `recorder selftest`.",
        ),
        "audio_lost": Explanation(
            outcomes=(_PARTIAL,), means="The disk did not keep up, so seconds of the recording are missing.",
            to_do="Look at the disk's load, and at `writer` in `recorder health --json`.",
        ),
        "one_way": Explanation(
            outcomes=(_PARTIAL,), means="Only one side was heard, or nobody spoke on the other one.",
            to_do="Listen to the recording. If it is often one phone: its microphone, mute, SRTP, or the firewall.",
        ),
        "fax_suspected": Explanation(
            outcomes=(_PARTIAL,), means="Tones of a fax were heard, and meanwhile nothing was kept.",
            to_do="See [fax](calls.md#fax).",
        ),
        "voicemail": Explanation(
            outcomes=(_BLOCKED,), means="A mailbox answered, which is not recorded.",
            to_do="See `[voicemail]` in [configuration](configuration.md).",
        ),
        "out_of_scope": Explanation(
            outcomes=(_BLOCKED,), means="The call was with somebody whose calls are not recorded.",
            to_do="If it should be recorded, nominate that extension ([who answers](calls.md#who-answers)).",
        ),
        "notice_not_heard": Explanation(
            outcomes=(_BLOCKED,), means="The recording notice could not be played to its end, so nothing was recorded.",
            to_do="The daemon's log has the call; run `recorder notices list`, and call to hear the notice.",
        ),
        "notice_not_attested": Explanation(
            outcomes=(_BLOCKED,),
            means="Nobody has confirmed in the configuration that callers of this recording session hear a notice.",
            to_do=_SESSIONS,
        ),
        "not_nominated": Explanation(
            outcomes=(_BLOCKED,), means="A recording session named nobody whose calls are recorded.",
            to_do="Nominate the extension (`[[extension]]`), or have the session border controller not send the call.",
        ),
        "emergency": Explanation(
            outcomes=(_BLOCKED,), means="A recording session was of a call with the emergency services (`[emergency]`)."
        ),
        "no_metadata": Explanation(
            outcomes=(_BLOCKED,), means="A recording session did not say who takes part.", to_do=_SESSIONS
        ),
    }
)  # fmt: skip
"""Why nothing, or not everything, was recorded."""

FAULTS: Mapping[str, Explanation] = MappingProxyType(
    {
        "internal_error": Explanation(
            outcomes=(_FAILED, _RECORDED), means="A fault of the recorder ended the call; other calls went on.",
            to_do="Report it with the traceback of the call in the daemon's log.",
        ),
        "daemon_stopped": Explanation(
            outcomes=(_FAILED, _PARTIAL, _RECORDED),
            means="The daemon was stopped, or killed, during the call. What was recorded until then is kept.",
            to_do="Use `recorder drain --stop`, which waits for calls ([drain](operations.md#drain-and-restart)).",
        ),
        "ports_exhausted": Explanation(
            outcomes=(_FAILED,), means="No media port was free, so the call was refused.",
            to_do="Widen `[media] ports`: four for each call.",
        ),
        "no_route": Explanation(
            outcomes=(_FAILED,), means="No `[[route]]` takes the called number, so the call was refused.",
            to_do="Add a route for the number, and run `recorder reload`.",
        ),
        "disk_full": Explanation(
            outcomes=(_PARTIAL, _FAILED), means="The disk was full; nothing more could be kept.",
            to_do="Free space, or add a disk. `recorder health` says how long the space lasts.",
        ),
        "disk_read_only": Explanation(
            outcomes=(_PARTIAL, _FAILED), means="The disk was read-only; nothing more could be kept.", to_do=_DISK
        ),
        "storage_fault": Explanation(
            outcomes=(_PARTIAL, _FAILED), means="The disk could not be written for another reason.", to_do=_DISK
        ),
        "writer_full": Explanation(
            outcomes=(_FAILED,), means="More calls were recorded at once than the writer takes.",
            to_do="Compare `[limits] max_calls` with the [capacity](capacity.md) of the machine.",
        ),
        "memory_not_locked": Explanation(
            outcomes=(_FAILED,), means="Audio could not be kept out of swap, so the call was not recorded.",
            to_do="Set `LimitMEMLOCK=infinity` for the service, and restart it.",
        ),
        "damaged": Explanation(
            outcomes=(_PARTIAL,), means="The index was made anew from a recording's file that is damaged.",
            to_do="Restore it from a backup, and run `recorder recordings verify` for it.",
        ),
        "file_missing": Explanation(
            outcomes=(_FAILED,), means="The recording's file is gone, and somebody has written it off.",
            to_do="Restore it from a backup if there is one, then run `recorder index rebuild`.",
        ),
    }
)  # fmt: skip
"""Faults."""

GROUPS: Mapping[str, Mapping[str, Explanation]] = MappingProxyType(
    {
        "How a conversation ended": ENDS,
        "Why nobody talked": NO_CONVERSATION,
        "Why nothing, or not everything, was recorded": UNRECORDED,
        "Faults": FAULTS,
    }
)
"""The reasons, as docs/outcomes.md has them."""
EXPLAINED: Mapping[str, Explanation] = MappingProxyType(
    {reason: told for group in GROUPS.values() for reason, told in group.items()}
)
"""All reasons but those with a SIP status."""


def explained(reason: str) -> Explanation | None:
    """Return what a reason means; None if no outcome has it."""
    status = reason.removeprefix("refused_")
    if status != reason and len(status) == 3 and status.isascii() and status.isdigit() and "3" <= status[0] <= "6":
        return Explanation(
            outcomes=(_NONE,), means=f"The called system refused the call with the SIP status {status}.",
            to_do="Its log says why; RFC 3261 section 21 has what the status means.",
        )  # fmt: skip
    return EXPLAINED.get(reason)
