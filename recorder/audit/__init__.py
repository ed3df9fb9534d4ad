"""The audit log: written, read, noted on other machines, checked, and handed on."""
