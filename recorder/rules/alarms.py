"""What an alarm of the daemon's health means and what to do, in a sentence or two for the console. Pure.

docs/alarms.md says more of each; a test holds that both know the same alarms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Advice:
    """What an alarm means, and what to do next."""

    means: str
    do: str


_SOURCE = "Find out what sends it: the daemon's log names the address."

ALARMS: Mapping[str, Advice] = MappingProxyType(
    {
        "disk_full": Advice(
            "Nothing more can be written. Calls go on, and what was kept of them is partial or failed.",
            "Free space, then look for partial and failed calls among the recordings.",
        ),
        "disk_read_only": Advice(
            "The disk refuses to be written to.",
            "Look at the kernel's log, mount the disk again, then run `recorder verify --all`.",
        ),
        "storage_fault": Advice(
            "Writing failed for another reason, which the daemon's log names.",
            "Mend what the log names, then run `recorder verify --all`.",
        ),
        "memory_not_locked": Advice(
            "The limit of locked memory is too low: sound may reach swap, or a call is not recorded.",
            "Set `LimitMEMLOCK=infinity` for the service and restart it.",
        ),
        "kernel_relay_off": Advice(
            "The kernel was to relay media and cannot. It goes through sockets: nothing is lost, fewer calls fit.",
            "The daemon's log and `recorder site-check` say what it lacks; restart once it is there.",
        ),
        "srtp_unauthentic": Advice(
            "Packets came on an encrypted side that are not under its key; they were dropped.",
            "The daemon's log names call and side: look at that system's settings.",
        ),
        "ports_exhausted": Advice(
            "A call that should be recorded was refused for want of ports.",
            "Widen `[media] ports`: four for each call.",
        ),
        "registration_failed": Advice(
            "A registration was refused or not answered; it is tried again.",
            "Look at account and registrar of that `[[register]]`.",
        ),
        "account_refused": Advice(
            "The target of a call asks for an account (401, 407), and the recorder has none there or a wrong one.",
            "Let the recorder in by its address there (FreeSWITCH: list `domains` of acl.conf; Asterisk: `identify` "
            "without `auth`), or set `auth_user` and `auth_password_file` of that `[[peer]]`.",
        ),
        "media_refused": Advice(
            "The far side does not take the audio that the recorder offers (488), after callers heard the notice.",
            "The daemon's log says what was offered. Allow PCMA, PCMU and G.722 for the recorder there; where it wants "
            "SRTP (Asterisk: `media_encryption`), set `[[route]] srtp`; turn T.38 off for it (`t38_udptl = no`).",
        ),
        "caller_media_refused": Advice(
            "A call offered none of PCMA, PCMU and G.722, or the wrong one of RTP and SRTP: it was refused before any "
            "message (488).",
            "Allow one of these codecs on the trunk or PBX that calls (Asterisk: `allow`; FreeSWITCH: "
            "`absolute_codec_string`); `[[peer]] srtp` says whether its audio has to be encrypted.",
        ),
        "caller_address_refused": Advice(
            "A call named an address for its audio that the recorder does not send to: of another IP version, or of a "
            "group (multicast, broadcast). It was refused before any message (488).",
            "Have the trunk or PBX that calls name its own address in the recorder's IP version (Asterisk: "
            "`rtp_ipv6`, `media_address`; FreeSWITCH: `rtp-ip`, `ext-rtp-ip`).",
        ),
        "names_not_resolved": Advice(
            "Names of targets could not be looked up; what was known stays in use.",
            "Look at the DNS, and at `[sip] name_servers`.",
        ),
        "index_unavailable": Advice(
            "The index does not take rows; they wait in files and are filed by themselves.", "Mend the database."
        ),
        "row_in_memory": Advice(
            "A row is only in memory: the disk does not take it either.", "Free space before anything is restarted."
        ),
        "row_lost": Advice(
            "Too many rows are in memory; some are lost.",
            "Free space, then run `recorder reindex`: what has a file comes back.",
        ),
        "audit_unavailable": Advice(
            "An act went on without its entry in the audit log; the entry waits. Nobody can listen meanwhile.",
            "Look at space, rights and lock of the folder `audit`.",
        ),
        "audit_entry_in_memory": Advice(
            "An entry of the audit log is only in memory.",
            "Look at space and rights of the folder `state`; restart nothing before.",
        ),
        "anchor_failed": Advice(
            "The head of the audit log could not be noted elsewhere; it is tried again each minute.",
            "Look at the syslog server, the mail server or the share that it goes to.",
        ),
        "mail_failing": Advice(
            "Mails to people have not left for an hour or more; they wait, and are tried again.",
            "Read what the server said with `recorder mail status`, mend that, then try `recorder mail test ADDRESS`.",
        ),
        "accounts_changed": Advice(
            "Roles, or recordings heard without approval, are not as the audit log has them: somebody wrote into the "
            "file of accounts past the recorder. Such roles give no right, and nothing is heard without approval.",
            "Find out who wrote into `people.sqlite`, then take the roles away on the page Accounts.",
        ),
        "pause_state_not_stored": Advice(
            "An act on a recording could not be stored: a pause holds all the same, a resume did not happen.",
            "Look at space and rights of the folder `state`.",
        ),
        "writer_full": Advice(
            "More calls came at once than may be recorded; those over the limit were not kept.",
            "Raise `[limits] max_calls`, or find out who calls.",
        ),
        "peer_calls_full": Advice(
            "A peer had as many calls in progress as it may; more were refused with 503. Emergency calls never are.",
            "The daemon's log names the peer. Find out who calls, or raise `max_calls` of that `[[peer]]`.",
        ),
        "transfer_denied": Advice(
            "A transfer or a redirection to a number that `[transfers] deny` names was refused: premium rate, abroad.",
            "Find out who asked for it: the log has the time. `[[route]] transfer_allow` lets a number through.",
        ),
        "pause_over_maximum": Advice(
            "A recording has been paused for longer than `[pause] max_s`.",
            "Ask the officer: nothing but a person resumes it.",
        ),
        "fax_suspected": Advice(
            "Tones of a fax lasted and nobody spoke, so that a call was not recorded until somebody did.",
            "Ask the officer whether it was a machine: whoever plays such tones may want to keep something out of the "
            "recording. The span is the segment `fax_suspected`.",
        ),
        "card_pauses_repeated": Advice(
            "A caller's digits paused a call again and again, and no payment was made.",
            "Ask the officer: each such pause takes the seconds before it along, so that it may be meant to.",
        ),
        "sign_on_clash": Advice(
            "Somebody keyed a code at a phone where somebody else was signed on, or that is configured as theirs.",
            "Ask both, who were told; `instead_of` of `agent.sign_on` in the audit log says who they are.",
        ),
        "kept_not_discarded": Advice(
            "A card payment was to drop a recording that is held or claimed, or it could not be found out whether it "
            "is: it was paused and kept.",
            "Have the DPO decide on the hold; card data that was recorded is erased with `recorder erase`.",
        ),
        "paused_without_account": Advice(
            "Somebody at the recorder's machine paused a call and gave no account.",
            "The entry `call.pause` in the audit log names the user of the operating system: ask them.",
        ),
        "pins_unreadable": Advice(
            "Managers' PINs cannot be read: none is right meanwhile.", "Look at the rights of `pins.json` and `state`."
        ),
        "erasure_not_placed": Advice(
            "An order to erase was given in a call and could not be stored.",
            "Mend the database, then have the order given again.",
        ),
        "erasure_failed": Advice(
            "An order to erase could not be carried out; the recording stays locked.",
            "The console's log names why; it is tried again by itself.",
        ),
        "retention_stopped": Advice(
            "The sweep deletes nothing until somebody has looked.",
            "Read why below; the DPO decides with `recorder reconcile` or `recorder retention`.",
        ),
        "retention_failed": Advice(
            "The last sweep failed, or some recordings could not be destroyed; it is tried again.",
            "Look at the log: disk, rights, database.",
        ),
        "retention_overdue": Advice(
            "No sweep has ended well for three days: recordings are kept longer than allowed.",
            "Look at the log, and run `recorder retention`.",
        ),
        "people_overdue": Advice(
            "The console has not deleted for three days what is due in the file of people.",
            "Start the console, and look at its log; `recorder retention run` does it too.",
        ),
        "retention_shorter_unconfirmed": Advice(
            "A period is configured shorter than the one in force, which goes on holding.",
            "The DPO confirms it with `recorder retention confirm-shorter`, or it is put back.",
        ),
        "siprec_undeclared": Advice(
            "A recording session came from a system that is not declared to send any, and was refused.",
            "Give its `[[peer]]` `siprec = true`, or have it stop.",
        ),
        "siprec_metadata": Advice(
            "Metadata of recording sessions are damaged: who takes part was read only in part, or not at all.",
            "Look for recordings that say `metadata_repaired` or `metadata_unreadable`, and tell the client's maker.",
        ),
        "sessions_unreadable": Advice(
            "It is not known which recording sessions were paused, so each begins paused.",
            "Look at the disk; restart once `state/sessions.journal` can be read.",
        ),
        "nominated_passed": Advice(
            "A call that names a nominated extension was passed through and not recorded.",
            "Compare `[[extension]]` with the PBX's numbers: a queue or a diversion is missing.",
        ),
        "answered_elsewhere": Advice(
            "A number that is not nominated answered a call to a nominated extension, so it was not recorded.",
            "If it is of a queue or ring group, nominate its members, or give its `[[extension]]` `answered_by`; a "
            "colleague's pickup needs nothing.",
        ),
        "source_rate_limited": Advice("A system sends more calls or requests than it may.", _SOURCE),
        "source_foreign": Advice(
            "Somebody spoke into a call of another system, or from another port than its own, and was refused.",
            "Put machines that act for one another into one `[[peer]]`; set `any_port` where one sends from ports that "
            "it does not listen at. Else somebody meddles.",
        ),
        "source_overload": Advice("More messages came than can be looked at; emergency calls have room kept.", _SOURCE),
        "source_stray": Advice("Floods of answers to nothing came, and were dropped.", _SOURCE),
        "tls_certificate_ends": Advice(
            "The certificate of SIP over TLS ends within 30 days, or has ended.",
            "Renew it in place, then run `recorder reload`.",
        ),
        "call_fault": Advice(
            "A fault of the recorder ended one call.",
            "Send what the daemon's log says to whoever looks after the program.",
        ),
    }
)
UNKNOWN = Advice("This version of the console does not know it.", "Look into the daemon's log.")


def advice_on(alarm: str) -> Advice:
    """Return what an alarm means and what to do."""
    return ALARMS.get(alarm, UNKNOWN)
