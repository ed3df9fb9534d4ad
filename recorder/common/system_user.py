"""Names of the operating system's users."""

import os
import pwd


def os_user(uid: int | None = None) -> str:
    """Return the name of an operating system user, or ``uid:`` and the number if there is none.

    Args:
        uid: The user's number; None for the user of this process.
    """
    number = os.getuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid:{number}"
