"""Advice on each health alarm of the daemon, as the console shows it: what it means and what to do. Pure.

docs/alarms.md says more about each alarm; a test checks that both list the same ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Advice:
    """One or two sentences on what an alarm means, and on what to do next."""

    means: str
    do: str


_SOURCE = "Find out what sends it: the daemon's log names the address."

ALARMS: Mapping[str, Advice] = MappingProxyType(
    {
        "disk_full": Advice(
            "The disk is full. Calls go on, but their recordings are partial or failed.",
            "Free space, then search for calls that were partly recorded or whose recording failed.",
        ),
        "disk_read_only": Advice(
            "The disk is read-only.",
            "Read the kernel's log, mount the disk again, then run `recorder recordings verify --all`.",
        ),
        "storage_fault": Advice(
            "Writing to the disk failed; the daemon's log gives the reason.",
            "Repair what the log names, then run `recorder recordings verify --all`.",
        ),
        "disk_filling": Advice(
            "At the rate of the last day the disk is full within the days of `[limits] warn_disk_days`.",
            "Free space or add a disk; `recorder health` says how long the space lasts. Shorter retention periods need "
            "the DPO.",
        ),
        "keys_unreadable": Advice(
            "The node's keys, or the public key of this month, are missing or damaged. Calls in progress go on with "
            "the keys in memory; new recordings may fail.",
            "The daemon's log names the file: restore it from the backup of the keys, then restart the daemon.",
        ),
        "private_keys_missing": Advice(
            "A private key is missing or damaged. Recordings that are sealed to it cannot be heard, copied or erased "
            "from.",
            "The log names the month: mount the disk of the private keys, or restore the key from its backup.",
        ),
        "writer_stuck": Advice(
            "One write or sync has taken 10 seconds: no call is being recorded meanwhile. Calls go on.",
            "The log says whether the disk does not answer: then look at it, or the mount, and the kernel's log.",
        ),
        "memory_not_locked": Advice(
            "The limit of locked memory is too low: sound may reach swap, or a call is not recorded.",
            "Set `LimitMEMLOCK=infinity` for the service and restart it.",
        ),
        "kernel_relay_off": Advice(
            "The kernel cannot relay media. The daemon relays it instead: nothing is lost, but fewer calls fit.",
            "The daemon's log and `recorder site-check` say what is missing. Provide it, then restart the daemon.",
        ),
        "srtp_unauthentic": Advice(
            "Packets on an encrypted leg failed SRTP authentication and were dropped.",
            "The daemon's log names the call and the side: check that system's SRTP settings.",
        ),
        "ports_exhausted": Advice(
            "A call that should be recorded was refused because no media ports were free.",
            "Widen `[media] ports`: four for each call.",
        ),
        "registration_failed": Advice(
            "A registration was refused or not answered; the recorder tries again.",
            "Check the account and the registrar of that `[[register]]`.",
        ),
        "account_refused": Advice(
            "The target of a call demands credentials (401, 407); the recorder has none for it, or wrong ones.",
            "Allow the recorder there by its address (FreeSWITCH: list `domains` of acl.conf; Asterisk: `identify` "
            "without `auth`), or set `auth_user` and `auth_password_file` of that `[[peer]]`.",
        ),
        "media_refused": Advice(
            "The called system refuses the audio that the recorder offers (488), after callers heard the notice.",
            "The daemon's log says what was offered. Allow PCMA, PCMU and G.722 for the recorder there; if it demands "
            "SRTP (Asterisk: `media_encryption`), set `[[route]] srtp`; turn T.38 off (`t38_udptl = no`).",
        ),
        "caller_media_refused": Advice(
            "A call offered none of PCMA, PCMU and G.722, or the wrong one of RTP and SRTP. It was refused before any "
            "message (488).",
            "Allow one of these codecs on the trunk or PBX that calls (Asterisk: `allow`; FreeSWITCH: "
            "`absolute_codec_string`). `[[peer]] srtp` says whether its audio must be encrypted.",
        ),
        "caller_address_refused": Advice(
            "A call named an audio address that the recorder does not send to: one of another IP version or of a "
            "group (multicast, broadcast). It was refused before any message (488).",
            "Configure the trunk or PBX that calls to name its own address in the recorder's IP version (Asterisk: "
            "`rtp_ipv6`, `media_address`; FreeSWITCH: `rtp-ip`, `ext-rtp-ip`).",
        ),
        "names_not_resolved": Advice(
            "The names of some targets could not be resolved; the last known addresses stay in use.",
            "Check the DNS and `[sip] name_servers`.",
        ),
        "index_unavailable": Advice(
            "The index accepts no rows. They are stored in files and filed once it does.", "Repair the database."
        ),
        "row_in_memory": Advice(
            "A row is in memory only, because it could not be written to disk.",
            "Free space before you restart anything.",
        ),
        "row_lost": Advice(
            "Too many rows were in memory; some are lost.",
            "Free space, then run `recorder index rebuild`: it restores the row of each recording that has a file.",
        ),
        "audit_unavailable": Advice(
            "The audit log cannot be written. Calls go on and their entries are queued; nobody can listen meanwhile.",
            "Check free space, file permissions and the lock of the folder `audit`.",
        ),
        "audit_entry_in_memory": Advice(
            "An entry of the audit log is in memory only.",
            "Check free space and file permissions of the folder `state` before you restart anything.",
        ),
        "anchor_failed": Advice(
            "The head of the audit log could not be sent to another machine; the recorder tries again each minute.",
            "Check the syslog server, the mail server or the share that it is sent to.",
        ),
        "syslog_failing": Advice(
            "The syslog server has taken no entry of the audit log for ten minutes or more. The entries wait in the "
            "log, in order, and the recorder tries again.",
            "`recorder health` and the daemon's log have the reason: check the server, its certificate, its name in "
            "the DNS and the firewall.",
        ),
        "notices_unusable": Advice(
            "The messages to callers were changed, and the new ones cannot be loaded. Callers hear the former ones.",
            "The daemon's log has the reason. Store the message again with `recorder notices import`, or bring another "
            "version into force with `recorder notices use`.",
        ),
        "audit_not_copied": Advice(
            "The database has taken no entry of the audit log for ten minutes or more. The entries wait in the log, in "
            "order, and the recorder tries again; other machines do not see them meanwhile.",
            "`recorder health` and the daemon's log have the reason: check the database, or, if two machines have one "
            "name, give one of them another in `[node]`.",
        ),
        "webhook_failing": Advice(
            "A webhook has accepted no event for ten minutes or more, or an event was given up in the last day: "
            "events are tried for three days.",
            "`recorder webhooks log --state waiting` has the reason; correct it, then `recorder webhooks test NAME`.",
        ),
        "events_not_queued": Advice(
            "Events for webhooks could not be queued. They are queued later, from the audit log and the rows of calls.",
            "Check free space and file permissions of `webhooks.sqlite`; the daemon's log has the reason. A "
            "damaged file is made anew by itself.",
        ),
        "forwarding_stopped": Advice(
            "The process that sends to other systems does not run or does not answer. Nothing is lost; the daemon "
            "starts the process again.",
            "Read the daemon's log; check `recorder.toml` and free space.",
        ),
        "objects_behind": Advice(
            "Recordings have waited ten minutes or more to be stored in the object store, or the process that stores "
            "them does not answer. They stay on this machine's disk, and the recorder tries again.",
            "`recorder objects show` has the reason: check the store, its account and quota, and the network. "
            "Watch free space here meanwhile.",
        ),
        "objects_not_deleted": Advice(
            "Deleted or erased recordings are still in the object store. Their keys are destroyed; the recorder tries "
            "again to remove every version.",
            "`recorder objects show` has the reason: check the account's right to list and delete versions.",
        ),
        "objects_locked": Advice(
            "A lock of the object store prevents the deletion of recordings that are due.",
            "`recorder objects show` says until when; shorten the bucket's retention, which must not exceed the "
            "shortest retention period here.",
        ),
        "backup_behind": Advice(
            "Deletions do not reach the backup, so deleted recordings are still in it. The audit log is the queue: "
            "nothing is lost.",
            "Mount the destination of `[backup]`, or free space there; `backup.problem` in health says what is wrong.",
        ),
        "recordings_unverified": Advice(
            "No recordings have been verified for three days, so damage to them stays unseen.",
            "Read the log of `council-recorder-verify.timer`, then run `recorder recordings verify --due`.",
        ),
        "recordings_damaged": Advice(
            "Recordings were altered or damaged, or are missing.",
            "`recorder health --json` names them under `verification`. Restore them from a backup; a verification that "
            "finds nothing wrong ends the alarm.",
        ),
        "audit_unverified": Advice(
            "The audit log has not been verified for three days.",
            "Look at the timer `council-recorder-audit-verify.timer` and its log, then run `recorder audit verify`.",
        ),
        "audit_damaged": Advice(
            "The last verification of the audit log found something wrong.",
            "`recorder audit verify` says what and where; compare with a backup of the log.",
        ),
        "backup_incomplete": Advice(
            "The last backup lacks something, such as a recording that was altered or removed here, or a private key.",
            "`backup.problems` in health names it. Repair that, then run `recorder backups add` as the console's user; "
            "a backup without problems ends the alarm.",
        ),
        "rehearsal_failed": Advice(
            "The last restore on trial found something wrong: a real restore may lack it.",
            "`backup.rehearsal` in health has the problems. Run `recorder backups check`, mend what it names, then "
            "`recorder backups rehearse`.",
        ),
        "rehearsal_overdue": Advice(
            "No backup has been restored on trial for 40 days.",
            "Mount both destinations and run `recorder backups rehearse` as the console's user, or enable its timer.",
        ),
        "backup_overdue": Advice(
            "No backup has been made for 36 hours.",
            "Look at the timer's log, then run `recorder backups add` as the console's user.",
        ),
        "selftest_failed": Advice(
            "The last self-test found a fault: calls may not be recorded as they should.",
            "Run `recorder selftest`: it names each fault and what to do. The alarm ends with a test that passes.",
        ),
        "selftest_misused": Advice(
            "A call claimed to be that of a self-test and was not. It was refused.",
            "Only programs on this machine can know the number: find out which one called, by the daemon's log.",
        ),
        "mail_failing": Advice(
            "No mail to people has been sent for an hour or more. The mails are queued, and the recorder tries again.",
            "Run `recorder mail show` for the server's answer, correct the cause, then `recorder mail test ADDRESS`.",
        ),
        "accounts_changed": Advice(
            "Roles or break-glass entries do not match the audit log: somebody changed the file of accounts "
            "without the recorder. Such roles give no rights, and break-glass is refused.",
            "Find out who changed `people.sqlite`, then remove the roles with `recorder users revoke`.",
        ),
        "accounts_unavailable": Advice(
            "The server with the accounts does not answer. For 15 minutes pages that are open can be read, and can "
            "pause; signing in, resuming, opting out and listening are refused.",
            "Start the server, or repair the network between it and the console; the console's log says what it hears.",
        ),
        "pause_state_not_stored": Advice(
            "A pause or resume could not be stored. A pause is in effect all the same; a resume was not done.",
            "Check free space and file permissions of the folder `state`.",
        ),
        "writer_full": Advice(
            "There were more simultaneous calls than `[limits] max_calls`; those over the limit were not recorded.",
            "Raise `[limits] max_calls`, or find out who calls.",
        ),
        "peer_calls_full": Advice(
            "A peer reached its limit of calls in progress. More were refused with 503; emergency calls never are.",
            "The daemon's log names the peer. Find out who calls, or raise `max_calls` of that `[[peer]]`.",
        ),
        "transfer_denied": Advice(
            "A transfer or redirection was refused because `[transfers] deny` names the number, such as premium rate.",
            "Find out who asked for it; the log has the time. To allow a number, use `[[route]] transfer_allow`.",
        ),
        "pause_over_maximum": Advice(
            "A recording has been paused for longer than `[pause] max_s`.",
            "Ask the officer: only a person can resume it.",
        ),
        "fax_suspected": Advice(
            "Fax tones went on and nobody spoke, so recording of a call stopped until somebody did.",
            "Ask the officer whether it was a machine: such tones can be played to keep something out of the "
            "recording. Its page shows the span as a possible fax.",
        ),
        "card_pauses_repeated": Advice(
            "A caller's digits paused a call repeatedly, but no payment was made.",
            "Ask the officer. Each such pause also erases the seconds before it, so it can be misused to erase audio.",
        ),
        "sign_on_clash": Advice(
            "Somebody keyed a code at a phone where another person was signed on, or that is configured as another's.",
            "Ask both; they were notified. `instead_of` of `agent.sign_on` in the audit log says who they are.",
        ),
        "kept_not_discarded": Advice(
            "A card payment was to discard a recording under a legal hold or rights request, or this could not be "
            "checked. The recording was paused and kept.",
            "Ask the DPO to decide on the hold. Erase card data that was recorded with `recorder recordings erase`.",
        ),
        "paused_without_account": Advice(
            "Somebody at the recorder's machine paused a call without naming an account.",
            "The entry `call.pause` in the audit log names the user of the operating system: ask them.",
        ),
        "draining": Advice(
            "The recorder refuses new calls, because somebody asked for a drain. Calls in progress go on.",
            "When the work is done, run `recorder drain --cancel`, or stop and start the daemon.",
        ),
        "pins_unreadable": Advice(
            "Managers' PINs cannot be read, so every PIN is refused.",
            "Check the file permissions of `pins.json` and `state`.",
        ),
        "erasure_not_placed": Advice(
            "An order to erase was given during a call and could not be stored.",
            "Repair the database, then ask for the order to be given again.",
        ),
        "erasure_failed": Advice(
            "An order to erase could not be carried out; the recording stays locked.",
            "The console's log gives the reason; the console tries again.",
        ),
        "calls_erased_alone": Advice(
            "An officer had three calls or more erased as a whole within a day, without a second person.",
            "Ask their manager, who was notified of each. *Erasures* and the audit log (`erasure.ordered`) say which.",
        ),
        "retention_stopped": Advice(
            "The sweep has stopped and deletes nothing until somebody lets it go on.",
            "The reason is below; the DPO decides with `recorder index reconcile` or `recorder retention show`.",
        ),
        "retention_failed": Advice(
            "The last sweep failed, or could not destroy some recordings; the recorder tries again.",
            "Read the daemon's log; check the disk, file permissions and the database.",
        ),
        "retention_overdue": Advice(
            "No sweep has succeeded for three days: recordings are kept longer than allowed.",
            "Read the daemon's log and run `recorder retention show`.",
        ),
        "files_not_removed": Advice(
            "A node has not removed its files of recordings that were deleted more than a day ago.",
            "`recorder retention show` names the node: start it, or look why it does not reach the database. If its "
            "disk "
            "is lost, destroy it and run `recorder retention write-off NODE`.",
        ),
        "people_overdue": Advice(
            "For three days the console has not deleted the data that is due in `people.sqlite`.",
            "Start the console and read its log, or run `recorder retention run`.",
        ),
        "retention_shorter_unconfirmed": Advice(
            "A retention period is configured shorter than the one in force, which stays in force.",
            "The DPO confirms it with `recorder retention confirm-shorter`, or you restore the configuration.",
        ),
        "siprec_undeclared": Advice(
            "A recording session came from a system that is not configured for SIPREC, and was refused.",
            "Set `siprec = true` in its `[[peer]]`, or stop it sending.",
        ),
        "siprec_metadata": Advice(
            "Metadata of recording sessions is damaged: the participants were read only in part, or not at all.",
            "Look for recordings whose details of who took part are damaged, and tell the client's maker.",
        ),
        "sessions_unreadable": Advice(
            "The journal of recording sessions cannot be read, so every session begins paused.",
            "Check the disk; restart once `state/sessions.journal` can be read.",
        ),
        "nominated_passed": Advice(
            "A call that names a nominated extension was passed through and not recorded.",
            "Compare `[[extension]]` with the PBX's numbers: a queue or a diversion is missing.",
        ),
        "answered_elsewhere": Advice(
            "A number that is not nominated answered a call to a nominated extension, so the call was not recorded.",
            "If it is in a queue or ring group, nominate its members, or set `answered_by` in its `[[extension]]`. A "
            "colleague's pickup needs nothing.",
        ),
        "source_rate_limited": Advice("A system sends more calls or requests than it may.", _SOURCE),
        "source_foreign": Advice(
            "A request inside a call came from another system, or from a port that is not the peer's, and was refused.",
            "Put machines that act for each other into one `[[peer]]`; set `any_port` where one sends from ports that "
            "it does not listen on. Otherwise treat it as an attack.",
        ),
        "source_overload": Advice(
            "More SIP messages came than can be handled; capacity is reserved for emergency calls.", _SOURCE
        ),
        "source_stray": Advice("Many SIP responses came that answer no request; they were dropped.", _SOURCE),
        "tls_certificate_ends": Advice(
            "The certificate for SIP over TLS expires within 30 days, or has expired.",
            "Replace it with a renewed one, then run `recorder reload`.",
        ),
        "key_list_refused": Advice(
            "The site's key list in the database is forged, older, missing, or contradicts the keys here. This node "
            "goes on with the keys that it has.",
            "The daemon's log says what is wrong. The console publishes the right list each minute: if the alarm "
            "stays, find out who writes to the table `key_lists`.",
        ),
        "epoch_missing": Advice(
            "This node has no key for the present month, and seals new recordings to an older one.",
            "Start the console with the private keys mounted, and see that this node reaches the database.",
        ),
        "call_fault": Advice(
            "An internal error of the recorder ended one call.",
            "Send the daemon's log to the maintainers of the program.",
        ),
        "node_name_taken": Advice(
            "Another node of the site has this node's name. This one records, but the console does not reach it.",
            "Give one of them another `name` in `[node]`, and restart its daemon. See `recorder nodes list`.",
        ),
        "node_removed": Advice(
            "This node was removed from the site, and the console does not reach it. It still records calls.",
            "Send its calls to other nodes and stop its daemon; or add it again as docs/several-machines.md says.",
        ),
        "call_records_unreadable": Advice(
            "Call records at a place of `[[call_records]]` cannot be read: calls that were not recorded stay unseen.",
            "The console's log names file and line; `recorder assurance import FILE --dry-run` says what is wrong.",
        ),
        "call_records_missing": Advice(
            "For 4 whole days no call records were imported, and there were some before.",
            "Look whether the PBX still writes them, and whether they still reach this machine.",
        ),
        "assurance_failed": Advice(
            "Calls cannot be compared with the recordings: calls that were not recorded stay unseen.",
            "The console's log says why. It tries again each half hour.",
        ),
        "assurance_share_risen": Advice(
            "The share of calls that were not recorded as they should have been has risen against the 4 weeks before.",
            "The page Recording assurance names the calls: look for one trunk, telephone or extension among them.",
        ),
        "node_silent": Advice(
            "A node does not answer the console: calls there cannot be seen or paused from here. It may be recording.",
            "Look at that machine, its daemon, and the network between. Officers pause with the keys of their phone.",
        ),
        "node_clock_apart": Advice(
            "This machine's clock is more than 2 seconds from the database's. Times of recordings are wrong by that.",
            "Run `chronyc tracking` on this machine and on the database's, and correct the one that is wrong.",
        ),
        "node_registry_away": Advice(
            "This node cannot renew its row in the database. Calls are recorded, and rows are filed later.",
            "Look at the PostgreSQL server and the network to it; the daemon's log names the error.",
        ),
        "node_certificate_ends": Advice(
            "The certificate of the node's control API expires within 30 days, has expired, or cannot be read.",
            "Renew it, and put it where `[node]` says; it is read again within seconds.",
        ),
        "node_control_unavailable": Advice(
            "The node's control API cannot listen at its address: the console does not reach this node. It records.",
            "The log names the address: correct `listen` in `[node]`, or stop the program that uses it.",
        ),
        "metrics_unavailable": Advice(
            "The metrics cannot be served at the configured address, so monitoring sees nothing. Calls are recorded.",
            "The log names the address: correct `listen` in `[metrics]` or `[console_metrics]`, or stop the program "
            "that uses it. The recorder tries again each minute.",
        ),
    }
)
CONSOLE_ALARMS = frozenset(
    {
        "accounts_changed", "accounts_unavailable", "assurance_failed", "assurance_share_risen", "calls_erased_alone",
        "call_records_missing", "call_records_unreadable", "erasure_failed", "node_silent",
    }
)  # fmt: skip
"""Alarms that the console raises, from what the daemon does not open; every other alarm is the daemon's."""

LOSSES = frozenset(
    {
        "audit_entry_in_memory", "audit_unavailable", "call_fault", "disk_full", "disk_read_only", "erasure_not_placed",
        "index_unavailable", "pause_state_not_stored", "ports_exhausted", "row_in_memory", "row_lost", "storage_fault",
        "writer_full",
    }
)  # fmt: skip
"""Events by which recordings, rows, pauses or evidence are lost, or soon will be: the alert is critical."""
EVENTS = frozenset(
    {
        "account_refused", "anchor_failed", "answered_elsewhere", "caller_address_refused", "caller_media_refused",
        "card_pauses_repeated", "fax_suspected", "kept_not_discarded", "media_refused", "metrics_unavailable",
        "nominated_passed", "pause_over_maximum", "paused_without_account", "peer_calls_full", "pins_unreadable",
        "registration_failed", "selftest_misused", "sign_on_clash", "siprec_metadata", "siprec_undeclared",
        "source_foreign", "source_overload", "source_rate_limited", "source_stray", "srtp_unauthentic",
        "transfer_denied",
    }
)  # fmt: skip
"""Other events: the alert ends an hour after the last one. An alarm in neither set lasts until its cause is gone or the
daemon is restarted, and so does its alert."""
FADING = EVENTS | {"pause_state_not_stored", "ports_exhausted", "writer_full"}
"""Alarms of something that has happened: they end 24 hours after it last did, or when somebody acknowledges them."""
ENDED_BY_PEOPLE = frozenset({"call_fault", "erasure_not_placed", "row_lost"})
"""Alarms that somebody has to acknowledge: what they tell of does not come back by itself."""
UNKNOWN = Advice("This version of the console does not know this alarm.", "Read the daemon's log.")


def advice_on(alarm: str) -> Advice:
    """Return the advice on an alarm; `UNKNOWN` if this version does not know it."""
    return ALARMS.get(alarm, UNKNOWN)
