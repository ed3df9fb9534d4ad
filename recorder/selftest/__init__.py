"""The self-test: a call by two phones of the recorder's own through the running recorder, checked by signal."""
