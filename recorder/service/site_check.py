"""Is this machine fit to record, and what about it lets audio or digits out? Judgements; pure but for a home's files.

An *error* is what keeps the recorder from working; everything else that somebody should look at is a *warning*. Each
says what was found, why it matters and what to do.
"""

import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from recorder.access.operator_names import misnamed_operators
from recorder.common.home import Home
from recorder.common.hygiene import descriptors_needed, locked_bytes
from recorder.config.settings import Config
from recorder.config.sip_accounts import AccountError, accounts, registrars
from recorder.permissions import Person, Role
from recorder.recordings.home_rights import forbidden_in, given_away
from recorder.rules.signing_in import SecondFactor
from recorder.service.machine import Machine, Process
from sip.options import TransportKind
from sip.sdes import Srtp
from storage.group_modes import is_shared

CAPTURES = frozenset({
    "tcpdump", "dumpcap", "tshark", "wireshark", "sngrep", "voipmonitor", "heplify", "captagent", "pcapsipdump",
    "sipgrep", "ngrep", "netsniff-ng",
})  # fmt: skip
"""Programs that read SIP and RTP off the network and mostly keep it."""
_NETWORK_CARE = frozenset({
    "dhclient", "dhcpcd", "systemd-network", "NetworkManager", "lldpd", "wpa_supplicant", "connmand",
})  # fmt: skip
"""Programs that hold a packet socket to look after the network itself, by their names as the kernel cuts them."""
_COMM_CHARACTERS = 15
"""The kernel cuts names of processes to so many."""


class Level(StrEnum):
    """How bad it is; only an error makes `recorder site-check` fail."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. ``why`` and ``do`` are empty when all is well."""

    level: Level
    what: str
    says: str
    why: str = ""
    do: str = ""


def _ok(what: str, says: str) -> Finding:
    return Finding(level=Level.OK, what=what, says=says)


def warning(what: str, says: str, *, why: str, do: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(level=Level.WARNING, what=what, says=says, why=why, do=do)


def error(what: str, says: str, *, why: str, do: str) -> Finding:
    """Return a finding that keeps the recorder from working."""
    return Finding(level=Level.ERROR, what=what, says=says, why=why, do=do)


def check_machine(machine: Machine, config: Config) -> Iterator[Finding]:
    """Judge a machine for a configuration."""
    yield _descriptors(machine, config)
    yield _locked_memory(machine, config)
    yield _media_ports(config)
    yield _core_files(machine)
    yield _swap(machine)
    yield _hibernation(machine)
    yield _captures(machine.processes)
    yield _packet_sockets(machine.packet_sockets)
    yield _debug_logging(machine.processes)
    yield _clock(machine)
    yield _library(machine)


def _descriptors(machine: Machine, config: Config) -> Finding:
    calls = config.limits.max_calls
    needed = descriptors_needed(calls, config.connections)
    if machine.descriptors >= needed:
        return _ok("descriptors", f"{machine.descriptors} are enough for {calls} calls")
    return error(
        "descriptors", f"max_calls = {calls} needs {needed}, the hard limit is {machine.descriptors}",
        why="the recorder does not start: calls beyond the limit would be lost",
        do="raise LimitNOFILE in the unit, or lower max_calls in [limits]",
    )  # fmt: skip


def _locked_memory(machine: Machine, config: Config) -> Finding:
    what, calls = "locked memory", config.limits.max_calls
    needed = locked_bytes(calls, config.pause.look_back_s, threads=config.media.threads)
    why = "audio that a pause will erase could be written to swap first"
    if not config.media.lock_memory:
        return warning(what, "[media] lock_memory is false", why=why, do="set it to true, and raise LimitMEMLOCK")
    if machine.memlock_bytes is None or machine.may_lock_all or machine.memlock_bytes >= needed:
        return _ok(what, f"the limit is high enough for {calls} calls, {needed >> 20} MiB")
    return warning(
        what, f"{calls} calls lock {needed >> 20} MiB, the limit here is {machine.memlock_bytes >> 20} MiB",
        why=why, do="raise LimitMEMLOCK (the unit shipped has no limit: look at it if this shell is not the service)",
    )  # fmt: skip


def _media_ports(config: Config) -> Finding:
    first, last = config.media.ports
    calls, carried = config.limits.max_calls, (last - first + 1) // 4
    if carried >= calls:
        return _ok("media ports", f"{first} to {last} carry {carried} calls")
    return warning(
        "media ports", f"{first} to {last} carry {carried} calls, max_calls is {calls}",
        why="calls beyond that are refused", do="widen ports in [media], or lower max_calls in [limits]",
    )  # fmt: skip


def _core_files(machine: Machine) -> Finding:
    what, do = "core files", "set fs.suid_dumpable = 0 and a kernel.core_pattern without a pipe (deploy/sysctl.conf)"
    if machine.core_pattern.startswith("|"):
        return warning(
            what, f"the kernel pipes them to {machine.core_pattern[1:].split()[0]}",
            why="daemon and console forbid their own, but a piped pattern ignores the limit on their size; phones, PBX "
            "or database on this machine may leave theirs",
            do=do,
        )  # fmt: skip
    if machine.suid_dumpable:
        return warning(
            what, f"fs.suid_dumpable is {machine.suid_dumpable}",
            why="programs that changed their user leave core files", do=do,
        )  # fmt: skip
    return _ok(what, "none are piped to a program")


def _swap(machine: Machine) -> Finding:
    plain = [swap.name for swap in machine.swaps if not swap.is_safe]
    if plain:
        return warning(
            "swap", f"{', '.join(plain)}: not known to be encrypted",
            why="memory that is not locked, as of sound that is played, may be written there, and outlive a restart",
            do="turn swap off, or put it on dm-crypt with a key that is new at every start",
        )  # fmt: skip
    return _ok("swap", "encrypted or compressed memory" if machine.swaps else "there is none")


def _hibernation(machine: Machine) -> Finding:
    if not machine.can_hibernate:
        return _ok("hibernation", "the kernel does not offer it")
    where = f", and would resume from {machine.resumes_from}" if machine.resumes_from else ""
    return warning(
        "hibernation", f"the machine can suspend to disk{where}",
        why="all memory is written to the disk, locked or not: live audio and keys of calls in progress",
        do="systemctl mask hibernate.target hybrid-sleep.target suspend-then-hibernate.target; boot with nohibernate",
    )  # fmt: skip


def _captures(processes: Iterable[Process]) -> Finding:
    cut = {name[:_COMM_CHARACTERS] for name in CAPTURES}
    running = sorted({f"{process.name} (process {process.pid})" for process in processes if process.name in cut})
    if not running:
        return _ok("capture", "no program that is known to capture SIP or RTP is running")
    return warning(
        "capture", f"{', '.join(running)} is running",
        why="it sees card digits and paused speech as they pass, and may keep them: no pause reaches it",
        do="stop it, or keep it to SIP without INFO bodies; see docs/security.md",
    )  # fmt: skip


def _packet_sockets(holders: Iterable[str]) -> Finding:
    others = sorted(holder for holder in holders if holder not in _NETWORK_CARE and holder not in CAPTURES)
    if not others:
        return _ok("packet sockets", "only programs that look after the network hold one, or none")
    unknown = others.count("?")
    named = [name for name in dict.fromkeys(others) if name != "?"]
    says = ", ".join([*named, *([f"{unknown} of unknown programs (run this as root)"] if unknown else [])])
    return warning(
        "packet sockets", says,
        why="such a socket sees every packet of this machine, voice and digits included",
        do="find out what they are for: `ss -0pb` lists them",
    )  # fmt: skip


def _debug_logging(processes: Iterable[Process]) -> Finding:
    verbose = [
        process
        for process in processes
        if "--verbose" in process.arguments
        and any(Path(word).name == "recorder" for word in process.arguments)
        and {"run", "console"} & set(process.arguments)
    ]
    if not verbose:
        return _ok("debug logging", "off")
    return warning(
        "debug logging", f"process {', '.join(str(process.pid) for process in verbose)} runs with --verbose",
        why="start lines of SIP go to the log, numbers masked; extensions and who is called when are in it",
        do="restart it without --verbose when you have found what you looked for",
    )  # fmt: skip


def _clock(machine: Machine) -> Finding:
    if machine.is_clock_synchronised is False:
        return warning(
            "clock", "the kernel's clock is not synchronised",
            why="times of recordings and of the audit log are evidence; retention counts from them",
            do="run chrony or systemd-timesyncd",
        )  # fmt: skip
    return _ok("clock", "synchronised" if machine.is_clock_synchronised else "the kernel does not say")


def _library(machine: Machine) -> Finding:
    if machine.has_glibc:
        return _ok("freed memory", "is wiped")
    return warning(
        "freed memory", "the C library is not glibc, which can be told to wipe what is freed",
        why="digits in SIP messages stay in this process's memory until something else is written there",
        do="run it on a system with glibc",
    )  # fmt: skip


# --- keys of calls


def check_srtp(config: Config) -> Iterator[Finding]:
    """Look whether keys for SRTP go over signalling that others can read: whoever has the key has the audio."""
    clear = [
        f"route {route.name!r} (to {target})"
        for route in config.route
        if route.srtp is not Srtp.OFF
        for target in route.targets
        if target.transport is not TransportKind.TLS
    ]
    clear += [
        f"peer {peer.name!r}"
        for peer in config.peer
        if peer.srtp is Srtp.REQUIRED and not (peer.tls_only or peer.requires_certificate)
    ]
    if clear:
        yield warning(
            "SRTP keys", f"{', '.join(clear)}: keys may cross the network in SIP that is not encrypted",
            why="whoever reads the SIP messages can decrypt the audio: it looks protected and is not",
            do="targets as tls:HOST:PORT, tls_only = true for peers; or keep SIP to a network of its own",
        )  # fmt: skip
        return
    yield _ok("SRTP keys", "none has to cross the network in SIP that is not encrypted")


# --- who answers


def check_answered_by(config: Config) -> Iterator[Finding]:
    """Look whether the file says of each nominated extension who may answer calls to it."""
    if config.unsaid_answered_by:
        yield warning(
            "who answers", f"{', '.join(config.unsaid_answered_by)}: the file does not say answered_by",
            why="older versions recorded a call to these that somebody answers who is not nominated (a queue, a ring "
            "group, a pickup); where the PBX names who answers, it is no longer recorded",
            do='in each [[extension]] write answered_by = "nominated" where that is right, having nominated the '
            'members of queues and the internal number beside an outside one; or answered_by = "anybody" for a queue '
            "whose members are not nominated and know that it is recorded; docs/operations.md, Who answers",
        )  # fmt: skip
    elif config.extension:
        yield _ok("who answers", "the file says of every nominated extension who may answer for it")


# --- recording sessions


def check_siprec(config: Config) -> Iterator[Finding]:
    """Look whether somebody answers for the notice in the sessions of each SIPREC client, where there is any."""
    clients = [peer for peer in config.peer if peer.siprec]
    unattested = [f"peer {peer.name!r}" for peer in clients if not peer.is_attested]
    if unattested:
        yield warning(
            "SIPREC notice", f"{', '.join(unattested)}: nobody answers for the notice",
            why="sessions are taken and answered, nothing of them is kept, and each ends as `blocked`",
            do='notice = "peer-attested" with notice_owner and notice_date, once it is known that callers hear it',
        )  # fmt: skip
    elif clients:
        yield _ok("SIPREC notice", "somebody answers for it in the sessions of every client")


# --- the audit log


def check_sign_in(config: Config) -> Iterator[Finding]:
    """Look whether people sign in with more than a password."""
    if config.console.second_factor is SecondFactor.OFF:
        yield warning(
            "signing in", "a password is enough",
            why="whoever learns one hears what its owner may", do='second_factor = "required" in [console]',
        )  # fmt: skip
    else:
        yield _ok("signing in", "with an authenticator, for whoever approves, listens or administers")


def check_teams(config: Config, people: Iterable[Person]) -> Iterator[Finding]:
    """Look whether there are managers who answer for no team, or calls that are no manager's."""
    managers = [person for person in people if person.roles & {Role.MANAGER}]
    if not managers:
        return
    known = {extension.team for extension in config.extension} - {""}
    lost = sorted(person.name for person in managers if not known & set(person.teams))
    if lost:
        yield warning(
            "teams", f"{', '.join(lost)}: manager of no team that an extension has",
            why="they find no call", do="`recorder users team NAME TEAM`, and team in [[extension]]",
        )  # fmt: skip
    else:
        yield _ok("teams", f"{len(managers)} managers, teams {', '.join(sorted(known))}")


def check_teamless(config: Config) -> Iterator[Finding]:
    """Look whether every nominated extension has a team."""
    teamless = [extension.number for extension in config.extension if not extension.team]
    if teamless:
        yield warning(
            "extensions without a team", ", ".join(teamless),
            why="a call at one is of everybody's team while it goes on: every manager may act on it, every officer may "
            "pause it; and afterwards no manager finds its recording",
            do="team in [[extension]], the service's name where it has one team, and `recorder reload`",
        )  # fmt: skip
    elif config.extension:
        yield _ok("extensions without a team", "none")


def check_operators(config: Config, people: Collection[Person]) -> Iterator[Finding]:
    """Look whether an extension names an account in the place of the name that its calls are found by."""
    operators = [(extension.number, extension.operator) for extension in config.extension]
    for one in misnamed_operators(operators, people):
        yield error(
            "operators", one.sentence,
            why="the calls of that phone are filed under a name that is nobody's: their officer finds none of them",
            do="change operator in [[extension]], then `recorder reload`; calls of before keep the name they have",
        )  # fmt: skip


def check_anchors(config: Config) -> Iterator[Finding]:
    """Look whether heads of the audit log are noted where whoever has this machine cannot change them."""
    options = config.anchors
    if not options.is_any:
        yield warning(
            "anchors", "heads of the audit log are noted nowhere else",
            why="whoever can write to its file can cut off its end, or write it anew, and nobody can tell",
            do="syslog, folder or mail_to in [anchors]",
        )  # fmt: skip
        return
    if options.folder is not None and not Path(options.folder).is_dir():
        yield warning(
            "anchors", f"{options.folder} is not there",
            why="no head of the audit log is noted in it", do="mount the share; the recorder does not make the folder",
        )  # fmt: skip
    told = [name for name in ("syslog", "folder") if getattr(options, name)] + ["mail"] * bool(options.mail_to)
    yield _ok("anchors", f"heads of the audit log are noted by {', '.join(told)} every {options.every_s:g} s")


TAKEN_KEYS = frozenset({"*0", "*1", "*2", "*3", "*4"})
"""What Asterisk's sample features.conf and FreeSWITCH's shipped dialplan bind in a call: hang up, record, transfer."""


def check_pause_keys(config: Config) -> Iterator[Finding]:
    """Look whether a PBX as it is shipped would take the keys before they come here.

    FreeSWITCH's first binding of a leg takes each ``*`` and the key after it, so that no keys are safe there.
    """
    pause = config.pause
    every = (pause.pause_keys, pause.resume_keys, pause.manager_keys, config.sign_on_keys)
    keys = [one for one in every if one is not None]
    taken = sorted(TAKEN_KEYS.intersection(keys))
    if not taken:
        yield _ok(
            "keys", f"{', '.join(keys)}: Asterisk as shipped leaves them alone; FreeSWITCH takes every * where a leg "
            "has a bind_meta_app (docs/integration/freeswitch.md)"
        )  # fmt: skip
        return
    yield warning(
        "keys", f"{', '.join(taken)}: Asterisk and FreeSWITCH bind these in calls as they are shipped",
        why="where the PBX takes them the pause never comes, and it may begin a plain recording of its own",
        do="Asterisk: pause_keys, resume_keys and manager_keys in [pause] (new sites have *5 and *6), and tell the "
        "officers, or unbind them. FreeSWITCH: other keys do not help, for it takes the first * and the next key on "
        "any leg with a bind_meta_app, bound or not: remove every bind_meta_app that the recorder's calls pass, or "
        "set bind_meta_key to another key before them; docs/integration",
    )  # fmt: skip


def check_review(config: Config, today: date) -> Iterator[Finding]:
    """Say when the policy on recording is reviewed next, which it is every three years (P24)."""
    what, review_on = "policy review", config.site.policy_review_on
    if review_on is None:
        yield warning(
            what, "policy_reviewed_on is off: nobody has said when the policy was last reviewed",
            why="it is reviewed every three years, and nobody is reminded of it",
            do='set policy_reviewed_on = "2026-11-25", the day of the last review, in [site]',
        )  # fmt: skip
    elif today >= review_on:
        yield warning(
            what, f"the policy is due for review since {review_on:%d/%m/%Y}",
            why="it is reviewed every three years",
            do="have the data protection officer see to it, then set policy_reviewed_on in [site]",
        )  # fmt: skip
    else:
        yield _ok(what, f"the next one is on {review_on:%d/%m/%Y}")


# --- accounts at peers


def check_accounts(config: Config) -> Iterator[Finding]:
    """Look whether the passwords for peers and registrars can be read."""
    try:
        accounts(config.peer)
        registered = registrars(config.register)
    except AccountError as problem:
        yield error(
            "accounts", str(problem), why="the recorder does not start", do="write the password there, and chmod 0600"
        )
        return
    with_account = sum(peer.auth_user is not None for peer in config.peer)
    if with_account or registered:
        yield _ok(
            "accounts", f"{with_account} at peers, {len(registered)} to register; health says whether they are in force"
        )


# --- the home


def check_folders(home: Home) -> Iterator[Finding]:
    """Look who may read what lies in a home; files that only hold messages to callers may be read by anybody."""
    open_to_others = sorted(
        f"{path.relative_to(home.root).as_posix() or '.'} ({stat.S_IMODE(path.stat().st_mode):04o})"
        for path in (home.root, home.config, home.people, home.index, home.audit, home.state, home.recordings,
                     home.private_keys, home.root / "keys")
        if path.exists() and path.stat().st_mode & forbidden_in(home, path)
    )  # fmt: skip
    if open_to_others:
        yield warning(
            "permissions", f"others than the owner have rights on {', '.join(open_to_others)}",
            why="numbers and names are in the clear in the index and the audit log; keys must be the owner's alone",
            do="chmod 0700 for folders, 0600 for files",
        )  # fmt: skip
    else:
        yield _ok("permissions", "only the owner may read the home")
    away = [path.relative_to(home.root).as_posix() for path in given_away(home)]
    if away:
        yield warning(
            "group", f"{', '.join(away)}: of the group that daemon and console share",
            why="only their modes keep the daemon's user from accounts and keys, and a change of these would not",
            do="chgrp -R to the own group of the accounts' user (docs/operations.md, Two users)",
        )  # fmt: skip
    owners = {path.stat().st_uid for path in (home.root, home.config, home.recordings, home.audit) if path.exists()}
    if len(owners) > 1 and not is_shared(home.root):
        yield warning(
            "owner", f"files of the home belong to {len(owners)} users",
            why="the daemon cannot write what another user owns; commands run as root leave such files",
            do=f"chown -R to the service's user: {home.root}",
        )  # fmt: skip
    above = home.root.parent.stat().st_mode
    if above & 0o002 and not above & stat.S_ISVTX:
        yield warning(
            "permissions above", f"anybody may rename the home: {home.root.parent} is writable by all",
            why="whoever can put another folder in its place decides what is recorded and where",
            do=f"chmod o-w {home.root.parent}",
        )  # fmt: skip
