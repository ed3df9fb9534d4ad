"""Names of the operating system's users and groups."""

import grp
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


def group_name(gid: int) -> str:
    """Return the name of a group, or its number if it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def members_of(gid: int) -> list[str]:
    """Return the names of the users in a group, by its list or as their own group; of a directory only listed ones."""
    try:
        listed = grp.getgrgid(gid).gr_mem
    except KeyError:
        listed = []
    return sorted({*listed, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == gid)})
