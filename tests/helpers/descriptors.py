"""Room for descriptors in the tests' own processes, whose voices must not wait for the kernel."""

import resource

from recorder.common.process_hardening import enlarge_descriptor_table

_PLACES = 4096


def make_room() -> None:
    """Make this process's table of descriptors large; to be called before it has threads."""
    enlarge_descriptor_table(min(_PLACES, resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
