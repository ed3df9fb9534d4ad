"""Addresses of stores: an absolute folder, or ``s3://BUCKET/PREFIX``. Pure."""

import re
from pathlib import PurePosixPath


def is_object_store(address: str) -> bool:
    """Tell whether an address is ``s3://BUCKET`` or ``s3://BUCKET/PREFIX``."""
    return re.fullmatch(r"s3://[A-Za-z0-9][A-Za-z0-9.-]*(/[A-Za-z0-9._-]+)*/?", address) is not None


def overlap(one: str, other: str) -> bool:
    """Tell whether two addresses are the same, or one is in the other."""
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first == second or first in second.parents or second in first.parents
