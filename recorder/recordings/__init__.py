"""Finished calls: their rows and files, recovery, reindex, fsck, verification, packing, and opening a home."""
