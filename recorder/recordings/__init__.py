"""Finished calls: rows and files, recovery, reindex, fsck, verification, archiving, and opening a home."""
