"""The tables and plots of docs/capacity.md, from a report of `benchmarks.report`. Pure.

Each row of a table is a text with names of figures in it. A row whose figure was not measured is left out; the table of
runs says which were not.
"""

import string
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report_figures import CODE
from benchmarks.svg import Bar, Line, Panel, bar_plot, line_plot

Report = Mapping[str, Any]
Rows = Sequence[tuple[str, str]]

_COST: Rows = (
    (
        "processor while it stands, by sockets",
        "{daemon_ms:.2f} ms a second with {peers_calls:,.0f} calls: {daemon_calls_a_core:,.0f} calls a core",
    ),
    (
        "the same, [relayed by the kernel](operations.md#relaying-in-the-kernel)",
        "{daemon_kernel_ms:.2f} ms a second with {peers_calls:,.0f} calls: {daemon_kernel_calls_a_core:,.0f} calls a "
        "core; G.711 without SRTP only",
    ),
    *(
        (
            f"one more call, {label}",
            f"{{{name}_more_ms:.3f}} ms a second, and {{{name}_fixed_ms:.0f}} ms a second for the daemon itself; "
            f"straight from {{{name}_least_calls:,.0f}} to {{{name}_most_calls:,.0f}} calls "
            f"(R^2 {{{name}_r_squared:.4f}})",
        )
        for name, label in (("sockets", "by sockets"), ("kernel", "by the kernel"))
    ),
    ("SRTP on both sides adds", "{srtp_ms:.2f} ms a second, {srtp_share:.0f} % of what a call costs in the core"),
    (
        "processor for the media core alone, with one, two and four media threads",
        "{threads_1_ms:.2f}, {threads_2_ms:.2f} and {threads_4_ms:.2f} ms a second with {threads_calls:,.0f} calls; "
        "p99 of the delay {threads_1_p99_ms:.2f}, {threads_2_p99_ms:.2f} and {threads_4_p99_ms:.2f} ms",
    ),
    ("processor to set up and join, the notice included", "{sockets_set_up_ms:.1f} ms"),
    ("processor to set up, join, end and seal, with two seconds of media", "{set_up_ms:.1f} ms"),
    ("memory, by sockets", "{sockets_kb:.0f} kB"),
    ("memory, by the kernel", "{kernel_kb:.0f} kB"),
    ("memory for each hour that the call stands (its waveform)", "{hour_kb:.0f} kB"),
    ("descriptors", "{sockets_descriptors:.0f}: two ports of RTP, two of RTCP, the file"),
    (
        "disk",
        "{stored_kb:.1f} kB a second: {stored_mb_an_hour:.0f} MB an hour; `[archive]` makes old recordings smaller",
    ),
)
_LIMITS: Rows = (
    *(
        (
            f"calls at a time, {label}; more were not tried",
            f"{{{name}_most_calls:,.0f}}: {{{name}_most_lost:.0f}} packets lost, "
            f"p99 of the delay {{{name}_most_p99_ms:.2f}} ms",
        )
        for name, label in (("sockets", "by sockets"), ("kernel", "by the kernel"))
    ),
    ("calls set up a second, none failed", "{set_up_rate:.0f}"),
    ("cores that set-ups fill, load included", "{set_up_cores:.1f} at {set_up_first_rate:.0f} a second"),
    (
        "calls set up a second, the first failed",
        "{failing_rate:.0f}: {failing_calls:.0f} of {failing_of:,.0f} calls failed",
    ),
    ("the call thread is blocked, at worst", "{stall_ms:.0f} ms with {kernel_most_calls:,.0f} calls"),
    (
        "longest iteration of the call thread's loop",
        "{iteration_set_up_ms:.0f} ms of CPU while {stalls_calls:,.0f} calls are set up, "
        "{iteration_in_progress_ms:.0f} ms in progress, {iteration_hang_up_ms:.0f} ms while {hung_up_calls:,.0f} are "
        "hung up together",
    ),
    (
        "slowest answer of health, in the same run",
        "{health_set_up_ms:.0f} ms while they are set up, {health_in_progress_ms:.0f} ms in progress, "
        "{health_hang_up_ms:.0f} ms while {hung_up_calls:,.0f} are hung up together",
    ),
    ("longest pass of garbage collection, in the same run", "{pass_ms:.0f} ms of CPU"),
    ("garbage collection each second adds to p99.9 of the delay", "{collection_added_ms:.2f} ms"),
    ("searches without a break add to it", "{search_added_ms:.2f} ms"),
    ("the export of an hour adds to it", "{export_added_ms:.2f} ms"),
)
_RATIOS: Rows = (
    ("daemon by sockets, to the bare loop", "{daemon_to_bare_gathering:.2f}"),
    ("daemon by sockets, to rtpengine", "{daemon_to_rtpengine:.2f}"),
    ("daemon by the kernel, to the bare loop", "{daemon_kernel_to_bare_gathering:.2f}"),
    ("daemon by the kernel, to rtpengine", "{daemon_kernel_to_rtpengine:.2f}"),
)
_HOST: Rows = (
    ("`LimitNOFILE`, at least", "{descriptors:.0f} for each call, and {descriptors_beside:.0f}"),
    ("`LimitMEMLOCK`, at least", "{locked_kb:.0f} kB for each call, and {locked_beside_mb:.1f} MB"),
    (
        "memory of a call's rings, at most, when the writer or the network is late",
        "{ring_kb:.0f} kB with a look-back of {look_back_s:.0f} s; {look_back_kb:.0f} kB for each second of it",
    ),
    (
        "network of a call, in, and as much out",
        "{packets:.0f} packets and {network_kb:.0f} kB a second, half of it on each side",
    ),
    ("syncs of the disk", "each recording every {sync_every_s:.0f} s: {syncs:.0f} a second for 500 calls"),
)
_PATHS = {
    "bare_gathering": "bare loop",
    "daemon": "daemon, by sockets",
    "daemon_kernel": "daemon, relayed by the kernel",
    "rtpengine": "rtpengine that records",
}
_HOW = {"sockets": "by sockets", "kernel": "relayed by the kernel"}
_NOTHING = "Not measured in this report."


def blocks(report: Report, documents: str) -> dict[str, str]:
    """Return what stands on the page between comments, by name.

    Args:
        report: See `benchmarks.report`.
        documents: The folder of documents, as the page links to it.

    Raises:
        ValueError: A figure has no source among the runs.
    """
    for name, figure in report["figures"].items():
        if not figure["source"].startswith(CODE) and report["runs"].get(figure["source"], {}).get("sha256") is None:
            raise ValueError(f"the figure {name!r} has no source: {figure['source']!r} is no run of this report")
    return {
        "cost": _figures(report, "a call takes", _COST),
        **{name: _steps(report, name) for name in _HOW},
        "peers": _peers(report),
        "limits": _figures(report, "limit", _LIMITS),
        "host": _figures(report, "the host gives", _HOST),
        "runs": _runs(report, documents),
        "untraced": _table(
            ("figure", "first written down in"), [(one["says"], one["origin"]) for one in report["untraced"]]
        ),
    }


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, without the columns that are empty in every row."""
    kept = [column for column in range(len(heads)) if any(row[column] for row in rows)]
    head, *others = (f"| {' | '.join(line[column] for column in kept)} |" for line in (heads, *rows))
    return "\n".join([head, "|---" * len(kept) + "|", *others]) if rows else _NOTHING


def _figures(report: Report, head: str, rows: Rows) -> str:
    """A table of figures, each with its range and its source."""
    figures, found = report["figures"], []
    for label, text in rows:
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name]
        if all(name in figures for name in names):
            used = [figures[name] for name in names]
            said = text.format(**{name: figures[name]["value"] for name in names})
            sources = ", ".join(dict.fromkeys(_source(figure) for figure in used))
            found.append((label, said, _range(used[0]), sources))
    return _table((head, "figure", "range", "source"), found)


def _source(figure: Mapping[str, Any]) -> str:
    source = str(figure["source"])
    return f"`{source.removeprefix(CODE)}`" if source.startswith(CODE) else source


def _range(figure: Mapping[str, Any]) -> str:
    if "low" not in figure:
        return ""
    return f"{figure['low']:.4g} to {figure['high']:.4g} in {figure['of']}"


def _steps(report: Report, name: str) -> str:
    steps = report["series"].get(name)
    if not steps:
        return _NOTHING
    rows = [
        (
            f"{step['calls']:,}",
            f"{step['cpu_ms']:.2f}",
            f"{step['ratio'] or 0:.2f}",
            f"{step['lost']:,} of {step['sent']:,}",
            _delay(step["delay_ms"]),
            "" if step["stall_ms"] is None else f"{step['stall_ms']:.0f}",
            f"{step['kb']:.0f}",
        )
        for step in steps
    ]
    heads = (
        "calls", "CPU ms per call-second", "to the bare loop", "packets lost", "delay p50 / p99 / p99.9, ms",
        "call thread blocked at worst, ms", "kB a call",
    )  # fmt: skip
    return f"![CPU and delay by number of calls, {_HOW[name]}](capacity-{name}.svg)\n\n{_table(heads, rows)}"


def _delay(delay: Mapping[str, float] | None) -> str:
    return "none heard" if delay is None else f"{delay['p50']:.2f} / {delay['p99']:.2f} / {delay['p99_9']:.2f}"


def _peers(report: Report) -> str:
    if not report["paths"]:
        return _NOTHING
    rows = [
        (
            _PATHS[path["path"]],
            f"{path['cpu_ms']:.3f}",
            f"{min(path['rounds']):.3f} to {max(path['rounds']):.3f} in {len(path['rounds'])} rounds",
            f"{path['lost']:,} of {path['sent']:,}",
            _delay(path["delay_ms"]),
        )
        for path in report["paths"]
    ]
    heads = ("path", "CPU ms per call-second, median", "range", "packets lost", "delay p50 / p99 / p99.9, ms")
    picture = "![CPU for a call-second in each path](capacity-peers.svg)"
    return f"{picture}\n\n{_table(heads, rows)}\n\nRatios of that run:\n\n{_figures(report, 'ratio', _RATIOS)}"


def _runs(report: Report, documents: str) -> str:
    rows = []
    for name, run in report["runs"].items():
        if run.get("sha256") is None:
            rows.append((name, run["measures"], "not measured in this report", "", ""))
            continue
        commit = f"`{run['commit'].removesuffix('-dirty')}`{'' if run['is_clean'] else ' with changes'}"
        day = {"run": "", "commit": "committed "}[run["dated_by"]] + (run["date"] or "day not known")[:10]
        how = f"`{run['command']}`" if run["command"] else _settings(run["settings"])
        document = f"[`{run['document']}`]({documents}{run['document']})"
        rows.append((name, f"{run['measures']}: {how}", _machine(run["machine"]), f"{commit}, {day}", document))
    return _table(("run", "what was measured", "machine", "commit and day", "document"), rows)


def _machine(machine: Mapping[str, Any]) -> str:
    memory = f"{machine['memory_mib'] / 1024:.0f} GiB" if "memory_mib" in machine else "memory not noted"
    return f"{machine['cpu']}, {machine['cores']} cores, {memory}, Linux {machine['kernel']}"


def _settings(settings: Mapping[str, Any]) -> str:
    said = {"calls": "{} calls", "rounds": "{} rounds", "rate": "{} a second", "seconds": "{} s"}
    return ", ".join(form.format(_listed(settings[name])) for name, form in said.items() if name in settings)


def _listed(value: float | Sequence[float]) -> str:
    if isinstance(value, (int, float)):
        return f"{value:,g}"
    *first, last = (f"{one:,g}" for one in value)
    return f"{', '.join(first)} and {last}" if first else last


def pictures(report: Report) -> dict[str, str]:
    """Return the plots by name of their file."""
    found = {
        f"capacity-{name}.svg": by_calls(report["series"][name], how)
        for name, how in _HOW.items()
        if report["series"].get(name)
    }
    if report["paths"]:
        bars = [Bar(name=_PATHS[one["path"]], value=one["cpu_ms"], rounds=one["rounds"]) for one in report["paths"]]
        found["capacity-peers.svg"] = bar_plot(
            "CPU for a call-second in each path",
            "Median of the rounds in ms: " + "; ".join(f"{bar.name} {bar.value:.3f}" for bar in bars) + ".",
            "CPU, ms for a call-second; dots: rounds",
            bars,
        )
    return found


def by_calls(steps: Sequence[Mapping[str, Any]], how: str) -> str:
    """Return the plot of a series (`benchmarks.report_figures.steps`): CPU and delays by number of calls.

    Args:
        steps: The series.
        how: Packets are relayed.
    """
    cpu = [
        Line(name=label, points=[(step["calls"], round(step["calls"] * step[key] / 10, 2)) for step in steps])
        for key, label in (("cpu_ms", "daemon"), ("bare_cpu_ms", "bare loop"))
    ]
    delay = [
        Line(
            name=f"{label}, {percentile}",
            points=[(step["calls"], step[key][percentile]) for step in steps if step[key]],
        )
        for key, label in (("delay_ms", "daemon"), ("bare_delay_ms", "bare loop"))
        for percentile in ("p50", "p99")
    ]
    said = "; ".join(
        f"{line.name} with {', '.join(f'{calls:,} calls {value:g}' for calls, value in line.points)}" for line in cpu
    )
    return line_plot(
        f"CPU and delay by number of calls, {how}",
        f"CPU in % of a core: {said}. The table beside it has the delays.",
        [
            Panel(x="recorded calls at a time", y="CPU, % of a core", lines=cpu),
            Panel(x="recorded calls at a time", y="one-way delay, ms", lines=delay),
        ],
    )
