"""Benchmarks: programs that answer one question each; see docs/benchmarks.md."""
