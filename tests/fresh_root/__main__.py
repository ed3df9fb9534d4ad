"""`make fresh-root RELEASE=trixie COMMAND="make demo ONCE=1"`: runs a command in a new Debian root, in a clone of HEAD.

It shows what a newcomer meets on a new machine. mmdebstrap makes a minimal root with git, make, python3 and CA
certificates; HEAD is cloned into it; the command runs there as root, in PID and mount namespaces of its own, on the
machine's network. When the command ends, or this program is killed, the kernel ends all processes of the namespace and
removes the mounts. Needs root, mmdebstrap and util-linux, and of Python the standard library only.
"""

import argparse
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[0] = str(PROJECT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(PROJECT / "tests")]
sys.modules["tests"] = tests

from tests.fresh_root import host, inside  # noqa: E402

MARK = "etc/fresh-root"
"""A file of the roots that this program made, with the release's name. Another folder is never taken for a root."""
CLONE = "srv/recorder"
"""Outside /root: the tests of two users run the recorder as users who cannot read /root."""
PACKAGES = ("ca-certificates", "git", "make", "python3")
"""What the README asks of a new machine; make installs the rest."""


def use_network(root: Path, environment: dict[str, str]) -> None:
    """Give a root this machine's name, name servers, apt settings, and certificate authorities for pip and npm."""
    names = (("127.0.0.1", "localhost"), ("127.0.1.1", socket.gethostname()), ("::1", "localhost ip6-localhost"))
    (root / "etc/hosts").write_text("".join(f"{address} {name}\n" for address, name in names))
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    (root / "etc/apt/apt.conf.d/90host").write_text(host.apt_options())
    for name, copy in (("PIP_CERT", "etc/ssl/certs/host.crt"), ("NPM_CONFIG_CAFILE", "etc/ssl/certs/host-npm.crt")):
        if name in environment:
            shutil.copy(environment[name], root / copy)
            environment[name] = f"/{copy}"


def clone_head(clone: Path, *, is_update: bool) -> None:
    """Clone HEAD of the project, or bring the clone that is there to HEAD and leave what was built in it."""
    if is_update and clone.is_dir():
        subprocess.run(["git", "-C", str(clone), "fetch", "--quiet", str(PROJECT), "HEAD"], check=True)
        subprocess.run(["git", "-C", str(clone), "reset", "--quiet", "--hard", "FETCH_HEAD"], check=True)
        return
    shutil.rmtree(clone, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(PROJECT), str(clone)], check=True)


def run(root: Path, command: str, environment: dict[str, str], cache: Path | None) -> int:
    """Run a shell command in the root's clone, without standard input; return its exit code."""
    words = [
        *host.NAMESPACES,
        "--propagation",
        "private",
        sys.executable,
        "-I",
        inside.__file__,
        str(root),
        f"/{CLONE}",
        command,
    ]
    if cache is not None:
        words.append(str(cache))
    return subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, check=False).returncode


def read_options() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="make fresh-root", description=__doc__)
    parser.add_argument("command", help="a shell command, for example 'make demo ONCE=1'")
    parser.add_argument("--release", default="trixie", help="codename of the Debian release; trixie if not given")
    parser.add_argument("--root", type=Path, help="make the root here and keep it; one that is there is used again")
    parser.add_argument("--update", action="store_true", help="with --root: keep the clone and what was built in it")
    parser.add_argument("--cache", type=Path, help="keep downloaded packages in this folder, for the next root")
    parser.add_argument("--sources", type=Path, help="a sources.list for the root, in place of this machine's archives")
    parser.add_argument("--copy", action="append", default=[], type=Path, metavar="FILE", help="into /srv; repeat")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="of the command; repeat")
    return parser.parse_args()


def main() -> int:
    """Make the root, run the command, say how long both took; return the command's exit code."""
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the root goes
    began = time.monotonic()
    root: Path = options.root or Path(tempfile.mkdtemp(prefix=f"fresh-{options.release}-", dir="/var/tmp"))
    root = root.resolve()
    mark = root / MARK
    try:
        if mark.exists() and mark.read_text() != options.release:
            sys.exit(
                f"{root} is a root of {mark.read_text()}: choose another folder, or give --release {mark.read_text()}"
            )
        if not mark.exists():
            if root.is_dir() and any(root.iterdir()):
                sys.exit(f"{root} is not empty, and not a root that this program made: choose another folder")
            sources = options.sources.read_text() if options.sources else host.sources_of(options.release)
            host.make_root(root, options.release, sources, PACKAGES)
            (root / MARK).write_text(options.release)
        given = dict(word.split("=", 1) for word in options.env)
        environment = inside.ENVIRONMENT | host.pip_environment() | host.npm_environment() | given
        use_network(root, environment)
        clone_head(root / CLONE, is_update=options.update)
        for path in options.copy:
            shutil.copy(path, root / "srv")
        made = time.monotonic()
        cache = options.cache.resolve() / options.release if options.cache else None
        code = run(root, options.command, environment, cache)
        took = f"root {made - began:.0f} s, command {time.monotonic() - made:.0f} s"
        print(f"fresh {options.release}: exit code {code} of {shlex.quote(options.command)}; {took}")
        return code
    finally:
        if options.root is None:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
