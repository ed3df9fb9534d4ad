"""Confidence bounds of what the tone benchmarks count."""

import math

_CONFIDENCE = 0.95
_Z = 1.959964


def upper_count(events: int) -> float:
    """Return the largest mean that 95 % confidence allows for a Poisson count; 3.0 for none (the rule of three)."""
    low, high = float(events), 10.0 + 3.0 * events
    while high - low > 1e-6:
        mean = (low + high) / 2
        terms = math.fsum(
            math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) if mean else float(k == 0)
            for k in range(events + 1)
        )
        low, high = (mean, high) if terms > 1 - _CONFIDENCE else (low, mean)
    return high


def proportion(hits: int, trials: int) -> tuple[float, float]:
    """Return the two-sided 95 % bounds of a proportion, by Wilson's score."""
    share, square = hits / trials, _Z * _Z / trials
    centre = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)
