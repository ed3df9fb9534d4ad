"""Checks of `recorder site-check` on the machine: capacity, and how audio or digits could leave memory. Pure."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from recorder.common.process_hardening import descriptors_needed, locked_bytes
from recorder.config.settings import Config
from recorder.service.findings import SiteFinding, error, ok, warning
from recorder.service.machine import Machine, Process

CAPTURES = frozenset({
    "tcpdump", "dumpcap", "tshark", "wireshark", "sngrep", "voipmonitor", "heplify", "captagent", "pcapsipdump",
    "sipgrep", "ngrep", "netsniff-ng",
})  # fmt: skip
"""Programs that capture SIP and RTP from the network and usually store it."""

_NETWORK_CARE = frozenset({
    "dhclient", "dhcpcd", "systemd-network", "NetworkManager", "lldpd", "wpa_supplicant", "connmand",
})  # fmt: skip
"""Programs that use a packet socket to manage the network, by their names as the kernel truncates them."""

_COMM_CHARACTERS = 15
"""Length to which the kernel truncates names of processes, characters."""


def check_machine(machine: Machine, config: Config) -> Iterator[SiteFinding]:
    """Check a machine against a configuration."""
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


def _descriptors(machine: Machine, config: Config) -> SiteFinding:
    calls = config.limits.max_calls
    needed = descriptors_needed(calls, config.connections)
    if machine.descriptors >= needed:
        return ok("descriptors", f"{machine.descriptors} are enough for {calls} calls")
    return error(
        "descriptors", f"max_calls = {calls} needs {needed}; the hard limit is {machine.descriptors}",
        why="the recorder does not start, because calls beyond the limit would be lost",
        do="raise LimitNOFILE in the unit, or lower max_calls in [limits]",
    )  # fmt: skip


def _locked_memory(machine: Machine, config: Config) -> SiteFinding:
    what, calls = "locked memory", config.limits.max_calls
    needed = locked_bytes(calls, config.pause.look_back_s, threads=config.media.threads)
    why = "audio that a pause erases could already be in swap"
    if not config.media.lock_memory:
        return warning(what, "[media] lock_memory is false", why=why, do="set it to true, and raise LimitMEMLOCK")
    if machine.memlock_bytes is None or machine.may_lock_all or machine.memlock_bytes >= needed:
        return ok(what, f"the limit is high enough for {calls} calls, {needed >> 20} MiB")
    return warning(
        what, f"{calls} calls lock {needed >> 20} MiB; the limit here is {machine.memlock_bytes >> 20} MiB",
        why=why, do="raise LimitMEMLOCK (the shipped unit has no limit; the limit checked is that of this shell)",
    )  # fmt: skip


def _media_ports(config: Config) -> SiteFinding:
    first, last = config.media.ports
    calls, carried = config.limits.max_calls, (last - first + 1) // 4
    if carried >= calls:
        return ok("media ports", f"{first} to {last} carry {carried} calls")
    return warning(
        "media ports", f"{first} to {last} carry {carried} calls; max_calls is {calls}",
        why="calls beyond that are refused", do="widen ports in [media], or lower max_calls in [limits]",
    )  # fmt: skip


def _core_files(machine: Machine) -> SiteFinding:
    what, do = "core files", "set fs.suid_dumpable = 0 and a kernel.core_pattern without a pipe (deploy/sysctl.conf)"
    if machine.core_pattern.startswith("|"):
        return warning(
            what, f"the kernel pipes them to {machine.core_pattern[1:].split()[0]}",
            why="daemon and console forbid core files, but a piped pattern ignores the limit on their size; phones, "
            "PBX or database on this machine may leave theirs",
            do=do,
        )  # fmt: skip
    if machine.suid_dumpable:
        return warning(
            what, f"fs.suid_dumpable is {machine.suid_dumpable}",
            why="programs that changed their user leave core files", do=do,
        )  # fmt: skip
    return ok(what, "none are piped to a program")


def _swap(machine: Machine) -> SiteFinding:
    plain = [swap.name for swap in machine.swaps if not swap.is_safe]
    if plain:
        return warning(
            "swap", f"{', '.join(plain)}: not known to be encrypted",
            why="memory that is not locked, such as audio that is played, may be written there and survive a restart",
            do="turn swap off, or put it on dm-crypt with a new key at every start",
        )  # fmt: skip
    return ok("swap", "encrypted or compressed memory" if machine.swaps else "there is none")


def _hibernation(machine: Machine) -> SiteFinding:
    if not machine.can_hibernate:
        return ok("hibernation", "the kernel does not offer it")
    where = f", and would resume from {machine.resumes_from}" if machine.resumes_from else ""
    return warning(
        "hibernation", f"the machine can suspend to disk{where}",
        why="all memory is written to disk, locked or not, with audio and keys of live calls",
        do="systemctl mask hibernate.target hybrid-sleep.target suspend-then-hibernate.target; boot with nohibernate",
    )  # fmt: skip


def _captures(processes: Iterable[Process]) -> SiteFinding:
    cut = {name[:_COMM_CHARACTERS] for name in CAPTURES}
    running = sorted({f"{process.name} (process {process.pid})" for process in processes if process.name in cut})
    if not running:
        return ok("capture", "no known capture program for SIP or RTP is running")
    return warning(
        "capture", f"{', '.join(running)} is running",
        why="it sees card digits and paused speech and may store them: pauses have no effect on it",
        do="stop it, or limit it to SIP without INFO bodies; see docs/security.md",
    )  # fmt: skip


def _packet_sockets(holders: Iterable[str]) -> SiteFinding:
    others = sorted(holder for holder in holders if holder not in _NETWORK_CARE and holder not in CAPTURES)
    if not others:
        return ok("packet sockets", "none, or only those of programs that manage the network")
    unknown = others.count("?")
    named = [name for name in dict.fromkeys(others) if name != "?"]
    says = ", ".join([*named, *([f"{unknown} of unknown programs (run this as root)"] if unknown else [])])
    return warning(
        "packet sockets", says,
        why="such a socket sees every packet of this machine, voice and digits included",
        do="find out what they are for; `ss -0pb` lists them",
    )  # fmt: skip


def _debug_logging(processes: Iterable[Process]) -> SiteFinding:
    verbose = [
        process
        for process in processes
        if "--verbose" in process.arguments
        and any(Path(word).name == "recorder" for word in process.arguments)
        and {"run", "console"} & set(process.arguments)
    ]
    if not verbose:
        return ok("debug logging", "off")
    return warning(
        "debug logging", f"process {', '.join(str(process.pid) for process in verbose)} runs with --verbose",
        why="start lines of SIP messages are logged, with numbers masked but extensions and times of calls readable",
        do="restart it without --verbose when you no longer need the log",
    )  # fmt: skip


def _clock(machine: Machine) -> SiteFinding:
    if machine.is_clock_synchronised is False:
        return warning(
            "clock", "the kernel's clock is not synchronised",
            why="times of recordings and of the audit log are evidence, and retention counts from them",
            do="run chrony or systemd-timesyncd",
        )  # fmt: skip
    return ok("clock", "synchronised" if machine.is_clock_synchronised else "the kernel does not say")


def _library(machine: Machine) -> SiteFinding:
    if machine.has_glibc:
        return ok("freed memory", "is wiped")
    return warning(
        "freed memory", "the C library is not glibc, so freed memory is not wiped",
        why="digits from SIP messages stay in this process's memory until it is reused",
        do="run it on a system with glibc",
    )  # fmt: skip
