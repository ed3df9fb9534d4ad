"""The program ``recorder``, also run as ``python -m recorder``."""

import atexit
import gc
import sys

from recorder.common.process_hardening import forbid_dumps, wipe_freed_memory

LASTING = ("run", "console")
"""Commands that run for months; they must not leave sensitive data in freed memory."""
SOUNDING = (("recordings", "play"), ("play",), ("phone",))
"""Commands whose memory holds a call's audio while it is heard."""


def main() -> None:
    """Run the command line."""
    is_lasting = len(sys.argv) > 1 and sys.argv[1] in LASTING
    is_sounding = any(tuple(sys.argv[1 : 1 + len(words)]) == words for words in SOUNDING)
    if is_lasting or is_sounding:
        wipe_freed_memory()  # first, because it may restart the program
    if is_sounding:
        forbid_dumps()
    gc.disable()  # loaded modules are not garbage; this saves an eighth of the CPU time of a start
    atexit.register(gc.freeze)  # else the interpreter would look through all that was loaded once more
    from recorder.cli.cli import app  # noqa: PLC0415

    if not is_lasting:
        gc.freeze()
        gc.set_threshold(20_000)  # a command loads most of what it needs only now
        gc.enable()
    app()


if __name__ == "__main__":
    main()
