"""`recorder run` as root that may do less than root: ``python deprived_daemon.py RIGHTS recorder run -C HOME``.

``RIGHTS`` are the capabilities that are left, as ``bpf,net_admin``; or ``namespace``: all of a user namespace of its
own, where they are worth nothing outside. It is for processes that are forked: `setpriv` and `unshare` start programs.
"""

import ctypes
import os
import sys
from pathlib import Path

import recorder.__main__

NAMESPACE = "namespace"
NUMBERS = {"net_admin": 12, "bpf": 39}
"""capabilities(7), of linux/capability.h."""
_CLONE_NEWUSER = 0x10000000
_VERSION_3 = 0x20080522


def _keep(capabilities: list[str]) -> None:
    bits = sum(1 << NUMBERS[name] for name in capabilities)
    halves = (bits & 0xFFFFFFFF, bits >> 32)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(*(word for half in halves for word in (half, half, 0)))
    _must(ctypes.CDLL(None, use_errno=True).capset(header, data), "capset")


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    _must(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER), "unshare")
    for name, words in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path(f"/proc/self/{name}").write_text(words)


def _must(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def main() -> None:
    """Give up rights, and run the daemon with the words that follow ``recorder``."""
    rights, words = sys.argv[1], sys.argv[sys.argv.index("recorder") + 1 :]
    if rights == NAMESPACE:
        _enter_namespace()
    else:
        _keep(rights.split(","))
    sys.argv = ["recorder", *words]
    recorder.__main__.main()


if __name__ == "__main__":
    main()
