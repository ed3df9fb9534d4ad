"""Backups: snapshots of a home at a destination, deletions carried there, and restoring from it."""
