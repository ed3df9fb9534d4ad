"""The demonstration of ``make demo``: the call, the checks of its claims, and its phones."""
