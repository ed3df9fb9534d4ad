"""The audit log as people use it: written first, told elsewhere, read, checked, handed on."""
