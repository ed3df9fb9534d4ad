"""The recorder with its gate deliberately broken, one way at a time: the suite must find the leak, and name it.

Each mutation is one edit of a copy of the sources, which must match exactly once: a change of the code that moves it
fails here, and whoever made it says anew how that line would be broken.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers import recorder_home
from tests.leak.plan import VIA_CONSOLE, Plan, plan
from tests.leak.result import Result, Say
from tests.leak.run import Run
from tests.leak.search import DIGITS

_SOURCES = ("audio", "storage", "sip", "recorder", "deploy", "setup.py", "pyproject.toml", "README.md", "LICENSE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One way to break the recorder.

    Attributes:
        name: Says what is broken.
        file: Path of the source.
        old: Text that is there exactly once.
        new: What takes its place.
        calls: Trigger and moment of the calls that are made, ``trigger/moment`` or ``trigger/moment/intruder``.
        finds: Pattern that what was found must match: the right thing must be named.
        sinks: Sinks that are searched beside the containers.
        has_console: Whether the console is needed.
        has_front: Whether calls come by Kamailio.
    """

    name: str
    file: str
    old: str
    new: str
    calls: tuple[str, ...]
    finds: str
    sinks: tuple[str, ...] = ()
    has_console: bool = False
    has_front: bool = False


_LOG = ("log of the daemon",)
_SENT = "what is sent by syslog and webhooks"
_BOTH = "    for (int side = 0; side < 2; side++) {\n        struct channel *channel = &tap->channels[side];\n"
_LEFT = _BOTH.replace("side < 2", "side < 1")
_KAMAILIO = "deploy/kamailio/kamailio.cfg"
_GATE, _TAP, _WHO = "audio/core/gate.c", "audio/core/tap_write.c", "audio/core/sources.c"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        name="nothing is erased when the gate shuts", file=_GATE,
        old="        erase(channel, channel->closed_from, INT64_MAX);\n"
            "        erase_arrived(tap, channel, here - back, INT64_MAX, here);\n",
        new="",
        calls=("socket/plain", "key_rfc4733/plain"), finds=r"container, (left|right).*secret audio, spoken -",
    ),
    Mutation(
        name="the gate is a flag that remembers no span", file=_GATE,
        old="        spans_add(&channel->spans, channel->closed_from, channel->opened_at);\n", new="",
        calls=("socket/late", "socket/duplicated", "socket/late"), finds="x (late|duplicated).*secret audio",
    ),
    Mutation(
        name="the gate shuts for positions only, not for arrivals", file=_TAP,
        old="if (!tap->is_closed && write_payload(", new="if (write_payload(",
        calls=("socket/plain", "socket/gap", "socket/loss", "socket/loss"), finds=r"secret audio, spoken \+",
    ),
    Mutation(
        name="the right channel is not gated", file=_GATE,
        old=f"{_BOTH}        int64_t start", new=f"{_LEFT}        int64_t start",
        calls=("socket/plain", "key_rfc4733/plain"), finds="container, right.*secret audio",
    ),
    Mutation(
        name="a leg latches onto anybody", file=_WHO,
        old="    if (is_signalled(leg, source))\n        return ORIGIN_SIGNALLED;\n",
        new="    if (leg->is_configured)\n        return ORIGIN_SIGNALLED;\n",
        calls=("socket/stray", "session_socket/stray", "socket/transferred"), finds="x stray.*audio that nobody said",
    ),
    Mutation(
        name="what a stray sent before the client stays", file=_WHO,
        old="    if (leg->tap)\n        tap_forget(leg->tap, leg->channel, sources->latched_from_ns, now);\n", new="",
        calls=("session_socket/stray", "session_socket/stray"), finds="session.*x stray.*audio that nobody said",
    ),
    Mutation(
        name="events of digits are not masked", file=_TAP,
        old="    gate_mask_span(tap, start - DIGIT_MARGIN_TICKS, start + duration + DIGIT_MARGIN_TICKS, is_placed,",
        new="    (void)(start + duration,",
        calls=("digits_rfc4733/plain", "digits_rfc4733/late"), finds="digits_rfc4733.*secret audio",
    ),
    Mutation(
        name="tones of digits are not masked", file=_TAP,
        old="    gate_mask_span(tap, from - env - DIGIT_MARGIN_TICKS, to - env + DIGIT_MARGIN_TICKS, 1, here);\n",
        new="    (void)from, (void)to, (void)env, (void)here;\n",
        calls=("digits_inband/plain", "digits_inband/ptime_10"), finds="digits_inband.*(a key's tone|secret audio)",
    ),
    Mutation(
        name="a mask silences one channel only", file=_GATE,
        old=f"{_BOTH}        int64_t env", new=f"{_LEFT}        int64_t env",
        calls=("digits_rfc4733/plain", "digits_inband/plain"), finds="digits.*container, right.*secret audio",
    ),
    Mutation(
        name="a stream that has just begun is trusted", file=_TAP,
        old="    int64_t at = position > channel->blocked_until ? position : channel->blocked_until;\n",
        new="    int64_t at = position;\n",
        calls=("socket/new_source",) * 12, finds="new_source.*secret audio",
    ),
    Mutation(
        name="a packet that is numbered behind its stream is taken for a new clock", file="audio/core/timeline.c",
        old="    out->is_passed = known && is_passed(known, packet->seq);\n", new="    out->is_passed = 0;\n",
        calls=("socket/too_late",) * 2, finds=r"x too_late.*secret audio, spoken \+",
    ),
    Mutation(
        name="audio is handed out without a look-back", file=_GATE,
        old="    int64_t edge = here + envelope(channel, here) - tap->look_back, from = here - tap->look_back + 1;\n",
        new="    int64_t edge = here + envelope(channel, here), from = here + 1;\n",
        calls=("socket/plain", "key_rfc4733/plain", "socket_extension/plain"), finds="secret audio, spoken -",
    ),
    Mutation(
        name="samples of the tone detector are not wiped", file="audio/core/inband_dtmf.c",
        old="    explicit_bzero(samples, sizeof *samples * (size_t)packet->length);\n", new="",
        calls=("socket/hang_up",), finds="memory of the processes.*linear16", sinks=("memory of the processes",),
    ),
    Mutation(
        name="a pause is acknowledged before the gate is shut", file="recorder/calls/recording_in_progress.py",
        old="        position_s = self._services.relay.taps.close_gate(self._tap, erase_s)\n",
        new="        position_s = self.position_s\n"
            "        close = self._services.relay.taps.close_gate\n"
            "        self._services.scheduler.call_later(0.4, lambda: close(self._tap, 0.0))\n",
        calls=("socket/plain", "key_relay/plain"), finds="secret audio, spoken",
    ),
    Mutation(
        name="a token clears every reason", file="recorder/rules/pausing.py",
        old="    PauseKind.AGENT:        (_YES,  _YES,   _NO,  _NO),",
        new="    PauseKind.AGENT:        (_YES,  _YES,   _YES,  _NO),",
        calls=("socket/plain/token", "key_rfc4733/plain/token"), finds=r"secret audio, spoken \+", has_console=True,
    ),
    Mutation(
        name="a pause acts on one recording of the two", file="recorder/calls/group_acts.py",
        old="            [*asked, *self._others_there(asked, at)],\n            lambda controls: controls.pause(",
        new="            asked,\n            lambda controls: controls.pause(",
        calls=("socket/passed_twice", "key_rfc4733/passed_twice", "card_relay/passed_twice"),
        finds=r"x passed_twice.*secret audio, spoken",
    ),
    Mutation(
        name="the end of a hold clears the officer's pause", file="recorder/calls/hold_rule.py",
        old="controls.resume(Authority.RULE, BY)", new="controls.resume(Authority.MANAGER, BY)",
        calls=("socket/held", "key_rfc4733/held"), finds=r"x held.*secret audio, spoken \+",
    ),
    Mutation(
        name="the caller's keys count", file="recorder/calls/keypad.py",
        old="        is_outside = side is self._call.progress.outside\n", new="        is_outside = False\n",
        calls=("socket/plain/caller_info", "key_rfc4733/plain/caller_info"), finds=r"secret audio, spoken \+",
    ),
    Mutation(
        name="a digit is logged", file="recorder/calls/keypad.py",
        old="        if not self._call.progress.was_joined:\n            if digit == self._second_key:",
        new="        __import__('logging').getLogger(__name__).info('digit %s', digit)\n"
            "        if not self._call.progress.was_joined:\n            if digit == self._second_key:",
        calls=("card_rfc4733/plain", "card_inband/plain"), finds="log of the daemon.*digits one by one", sinks=_LOG,
    ),
    Mutation(
        name="bodies of INFO are logged", file="recorder/calls/keypad.py",
        old="        is_outside = side is self._call.progress.outside\n",
        new="        is_outside = side is self._call.progress.outside\n"
            "        __import__('logging').getLogger(__name__).info('INFO %s', body.content)\n",
        calls=("card_relay/plain", "card_info/plain"), finds="log of the daemon.*digits one by one", sinks=_LOG,
    ),
    Mutation(
        name="the caller's number is printed", file="recorder/calls/bridged_media.py",
        old="            recording.joined_at = call.clock.now\n",
        new="            recording.joined_at = call.clock.now\n"
            "            __import__('sys').stderr.write(f'{call.offered.from_user}\\n')\n",
        calls=("socket/plain",), finds="log of the daemon.*the caller's number", sinks=_LOG,
    ),
    Mutation(
        name="a copy is made on a disk", file="recorder/web/copies.py",
        old='    chunks = copying.sound(0, f"{ordered.row.id}.{suffix}")\n',
        new='    chunks = copying.sound(0, f"{ordered.row.id}.{suffix}")\n'
            "    from pathlib import Path\n"
            "    passing = Path(f'/var/tmp/recorder-{ordered.row.id}.wav')\n"
            "    passing.write_bytes(b''.join(chunks))\n"
            "    chunks = iter([passing.read_bytes()])\n"
            "    passing.unlink()\n",
        calls=("socket/plain",), finds="wrote /var/tmp/recorder-.*which no sink covers", has_console=True,
    ),
    Mutation(
        name="a webhook is told who calls", file="recorder/rules/webhook_events.py",
        old='"extension": str(event["extension"]), "direction"', new='"extension": str(event["caller"]), "direction"',
        calls=("socket/plain",), finds="what is sent by syslog and webhooks.*the caller's number",
        sinks=(_SENT,),
    ),
    Mutation(
        name="Kamailio logs what it cannot read", file=_KAMAILIO,
        old='modparam("debugger", "mod_level", "core=-2")\n', new="",
        calls=("card_relay/killed",), finds="log of Kamailio: log: secret digits", sinks=("log of Kamailio",),
        has_front=True,
    ),
    Mutation(
        name="Kamailio lists who called", file=_KAMAILIO,
        old="extension=$avp(extension);", new="extension=$fU;",
        calls=("card_relay/killed",), finds="calls that went round: list and report: bypassed.*the caller's number",
        sinks=("calls that went round: list and report",), has_front=True,
    ),
)  # fmt: skip

QUICK = ("a pause is acknowledged before the gate is shut", "bodies of INFO are logged")
"""What every `make test` tries, in one daemon: no compiler is needed, and neither finding can be the other's."""


SEED = 1
"""Of every mutation's calls, whatever the seed of the run: what reveals one is not left to luck."""


class MutationError(Exception):
    """A mutation does not fit the sources any more."""


def _calls(mutation: Mutation, number: int = 0) -> list[Plan]:
    """Return the mutation's calls, the same in every run; those whose random parts do not suit it are passed over."""
    plans = []
    for words in mutation.calls:
        trigger, moment, *intruder = words.split("/")
        if trigger in VIA_CONSOLE and not mutation.has_console:
            raise MutationError(f"{mutation.name}: {words} takes a console")
        while True:
            one = plan(SEED, number, trigger, moment, is_short=True)
            number += 1
            if _suits(one, mutation, intruder[0] if intruder else None):
                break
        plans.append(one)
    return plans


def _suits(one: Plan, mutation: Mutation, intruder: str | None) -> bool:
    return (
        (intruder is None or one.intruder == intruder)
        and (not one.trigger.startswith("card") or len(one.digits) >= DIGITS)
        and (mutation.has_console or not one.needs_console)
    )


def mutate(folder: Path, mutation: Mutation) -> None:
    """Break a copy of the sources.

    Raises:
        MutationError: The text is not there exactly once.
    """
    path = folder / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise MutationError(
            f"mutation {mutation.name!r}: its text is {text.count(mutation.old)} times in {mutation.file}, not once: "
            "say anew in tests/leak/mutations.py how to break it"
        )
    path.write_text(text.replace(mutation.old, mutation.new))


def copy_sources(source: Path, target: Path) -> None:
    """Copy what a recorder is made of, built core included."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _SOURCES:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)  # with what is compiled: what is broken is newer
        elif (source / name).exists():
            shutil.copy2(source / name, target / name)


def build(folder: Path) -> None:
    """Build the core of a copy in its place."""
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=folder, check=True, capture_output=True
    )


def rebuild(folder: Path, file: str, objects: Path) -> None:
    """Compile one changed file of the core and link it with the objects of the others."""
    compiler = sysconfig.get_config_var("CC").split()
    changed = folder / "mutated.o"
    flags = ["-std=gnu11", "-O2", "-g", "-fPIC", "-Iaudio/core"]
    subprocess.run([*compiler, *flags, "-c", file, "-o", str(changed)], cwd=folder, check=True)
    others = [str(path) for path in sorted(objects.rglob("*.o")) if path.name != Path(file).with_suffix(".o").name]
    product = next((folder / "audio").glob("_relay*.so"))
    product.unlink()
    linker = sysconfig.get_config_var("LDSHARED").split()
    libraries = ["-lm", "-lpthread", "-lnettle", "-lbpf"]
    subprocess.run([*linker, *others, str(changed), "-o", str(product), *libraries], cwd=folder, check=True)


@contextmanager
def _started_from(folder: Path) -> Any:
    before = recorder_home.ROOT
    recorder_home.ROOT = folder
    try:
        yield
    finally:
        recorder_home.ROOT = before


def _run(mutations: Sequence[Mutation]) -> Result:
    plans: list[Plan] = []
    for mutation in mutations:
        plans += _calls(mutation, plans[-1].number + 1 if plans else 0)
    sinks = {name for mutation in mutations for name in mutation.sinks}
    has_console = any(mutation.has_console for mutation in mutations)
    with Run(
        plans, seed=SEED, slots=len(plans), has_receivers=_SENT in sinks,
        has_front=any(mutation.has_front for mutation in mutations),
    ) as run:  # fmt: skip
        run.start(has_console=has_console)
        run.make_calls()
        run.judge_calls()
        if has_console:
            run.take_away()
        if sinks:
            run.sinks.search(*sinks)
        run.sinks.check_places()
    return run.result


def _found(mutation: Mutation, result: Result) -> dict[str, Any]:
    said = [f"{name}: {leak.sink}: {leak.what}" for name, leak in result.all_leaks] + result.all_faults
    found = [line for line in said if re.search(mutation.finds, line)]
    return {"name": mutation.name, "is_found": bool(found), "found": (found or said)[:1], "times": len(found)}


def try_one(mutation: Mutation, base: Path, folder: Path) -> dict[str, Any]:
    """Break the recorder in one way and make a few calls; tell what was found."""
    copy_sources(base, folder)
    mutate(folder, mutation)
    if mutation.file.endswith(".c"):
        rebuild(folder, mutation.file, base / "build")
    with _started_from(folder):
        return _found(mutation, _run([mutation]))


def try_together(source: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Break the recorder in several ways at a time, in Python only, and make the calls of all; tell what was found.

    For mutations of which none can cause what another one's calls are to find.
    """
    chosen = [mutation for mutation in MUTATIONS if mutation.name in names]
    assert not any(mutation.file.endswith(".c") for mutation in chosen), "the core has to be built: `run_all`"
    with tempfile.TemporaryDirectory(prefix="recorder-leak-mutants-") as place:
        folder = Path(place) / "mutant"
        copy_sources(source, folder)
        for mutation in chosen:
            mutate(folder, mutation)
        with _started_from(folder):
            result = _run(chosen)
    return [_found(mutation, result) for mutation in chosen]


def run_all(source: Path, *, names: Sequence[str], say: Say) -> list[dict[str, Any]]:
    """Try every mutation, or those of some names; returns one entry for each."""
    chosen = [m for m in MUTATIONS if not names or m.name in names]
    tried = []
    with tempfile.TemporaryDirectory(prefix="recorder-leak-mutants-") as place:
        base = Path(place) / "base"
        copy_sources(source, base)
        for mutation in chosen:  # before anything is built: what does not fit is told at once
            copy = Path(place) / "fits"
            shutil.rmtree(copy, ignore_errors=True)
            (copy / mutation.file).parent.mkdir(parents=True)
            shutil.copy2(base / mutation.file, copy / mutation.file)
            mutate(copy, mutation)
        if any(m.file.endswith(".c") for m in chosen):
            say("building the core that is broken next")
            build(base)
        for number, mutation in enumerate(chosen):
            folder = Path(place) / f"mutant-{number}"
            tried.append(try_one(mutation, base, folder))
            say(
                f"mutation {number + 1} of {len(chosen)}: {mutation.name}: "
                + ("found" if tried[-1]["is_found"] else "NOT FOUND")
            )
            shutil.rmtree(folder, ignore_errors=True)
    return tried


def table(tried: list[dict[str, Any]]) -> str:
    """Return what became of the mutations, for a person."""
    lines = ["", f"{'mutation':58}found"]
    for one in tried:
        lines.append(f"{one['name']:58}{'yes' if one['is_found'] else 'NO'}")
        lines += [f"    {line[:150]}" for line in one["found"]]
    lines.append(f"{sum(one['is_found'] for one in tried)} of {len(tried)} mutations were found")
    return "\n".join(lines)
