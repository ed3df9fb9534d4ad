"""Names of the operating system's users."""

import os
import pwd


def os_user(uid: int | None = None) -> str:
    """Return the name of a user of the operating system, or ``uid:`` and the number if it has none.

    Args:
        uid: The user's number; None is the user who runs this process.
    """
    number = os.getuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid:{number}"
