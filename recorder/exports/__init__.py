"""Exports: orders for copies of recordings, redaction, cover sheets and packages."""
