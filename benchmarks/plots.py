"""Pictures of what benchmarks measured, as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw_bars(
    values: Mapping[str, float],
    path: Path,
    *,
    unit: str,
    rounds: Mapping[str, Sequence[float]] | None = None,
    goals: Mapping[str, float] | None = None,
) -> None:
    """Draw a bar for each name.

    Args:
        values: By name, from the top down.
        path: The file.
        unit: What the values are.
        rounds: Single values by name; drawn as dots on the bar.
        goals: Values that are not to be exceeded, by what they are called; drawn as lines.
    """
    import matplotlib as mpl  # noqa: PLC0415 - large, and only wanted here

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(8, 0.8 + 0.5 * len(values)))
    bars = axes.barh(list(values), list(values.values()), color="#5694ca")
    axes.bar_label(bars, fmt="%.2f", label_type="center", color="white")
    for name, singles in (rounds or {}).items():
        axes.plot(singles, [name] * len(singles), ".", color="#003078")
    for (name, value), colour in zip((goals or {}).items(), ("#d4351c", "#00703c"), strict=False):
        axes.axvline(value, linestyle="--", color=colour, label=name)
    if goals:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set(xlabel=unit, xlim=(0, None))
    axes.grid(visible=True, axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
