"""How much the tests do at a time: so much for each processor that they may use."""

import os

PROCESSORS = len(os.sched_getaffinity(0))
"""Processors that this process may use: `taskset` and containers leave it fewer than the machine has."""
