"""The program ``recorder``, also run as ``python -m recorder``."""

import sys

from recorder.common.process_hardening import put_off_collecting, wipe_freed_memory

LASTING = ("run", "console")
"""Commands that run for months; they must not leave sensitive data in freed memory."""


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] and sys.argv[1] in LASTING:
        wipe_freed_memory()  # first, because it may restart the program
        put_off_collecting()
    from recorder.cli.cli import app  # noqa: PLC0415

    app()


if __name__ == "__main__":
    main()
