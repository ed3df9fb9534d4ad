"""Shared basics: clock, threads, paths of a home, logs, problems, mail, plain text. Imports no feature."""
