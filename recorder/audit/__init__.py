"""The audit log: writing, reading, anchors on other machines, checks and export."""
