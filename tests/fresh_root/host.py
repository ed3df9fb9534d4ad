"""How this machine reaches packages: where apt, pip and npm look, without what is peculiar to it. And new roots."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

NAMESPACES = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL")
_INDEX_FIELDS = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "cert", "timeout")
"""What says how to reach the index. Constraints and folders of wheels belong to this machine."""
_NPM_KEYS = ("registry", "proxy", "https-proxy", "cafile")
_APT_KEYS = re.compile(r"Acquire::(https?|Check-Valid-Until|Check-Date|Retries|Max-FutureTime)\b")


def _output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def sources_of(release: str) -> str:
    """Return a sources.list for a Debian release, from the archives that this machine uses for its own release.

    Raises:
        LookupError: This machine has no package lists of its own release.
    """
    os_release = Path("/etc/os-release").read_text()
    own = re.search(r"^VERSION_CODENAME=\"?(\w+)", os_release, re.MULTILINE)
    fields = _output("apt-get", "indextargets", "--format", _INDEX_FIELDS, "Created-By: Packages")
    found = translate_sources(fields, own[1] if own else "", release)
    if not found:
        raise LookupError("apt knows no package lists of this machine's Debian release: give --sources FILE")
    return found


def translate_sources(fields: str, own: str, release: str) -> str:
    """Return the lines of a sources.list for a release.

    Args:
        fields: What apt says of its package lists: lines of URI, suite, component and origin, with ``|`` between.
        own: This machine's codename. Lists of other suites, and lists that are not Debian's, are left out.
        release: The wanted codename, which takes the other's place: ``trixie-security`` gives ``bookworm-security``.
    """
    lines = []
    for line in sorted(set(fields.splitlines())):
        uri, suite, component, origin = line.split("|")
        if origin == "Debian" and re.fullmatch(rf"{re.escape(own)}(-\w+)*", suite):
            lines.append(f"deb {uri} {release}{suite.removeprefix(own)} {component}\n")
    return "".join(lines)


def make_root(root: Path, release: str, sources: str, packages: Iterable[str]) -> None:
    """Make a minimal root of a release.

    Args:
        root: Folder to make; absent or empty.
        release: Codename, for example ``trixie``.
        sources: Lines for its sources.list.
        packages: Names of what it has beyond the minimum.

    Raises:
        subprocess.CalledProcessError: mmdebstrap failed; it has said why.
    """
    options = ("--mode=root", "--variant=minbase", "--quiet", f"--include={','.join(packages)}")
    words = [*NAMESPACES, "--mount-proc", "mmdebstrap", *options, release, str(root), "-"]
    subprocess.run(words, input=sources, text=True, check=True)
    # mmdebstrap's own list names the keys by their place on this machine; the root's apt knows where its keys are.
    for path in (root / "etc/apt/sources.list.d").iterdir():
        path.unlink()
    (root / "etc/apt/sources.list").write_text(sources)


def apt_options() -> str:
    """Return this machine's apt settings for proxies, time-outs and the clock, for a file in apt.conf.d."""
    return "".join(f"{line}\n" for line in _output("apt-config", "dump").splitlines() if _APT_KEYS.match(line))


def pip_environment() -> dict[str, str]:
    """Return the environment variables by which pip reaches the index as it does on this machine."""
    listed = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    return translate_pip(listed.stdout)


def translate_pip(listed: str) -> dict[str, str]:
    """Return environment variables for pip from ``pip config list``; what it has from its own environment wins."""
    found = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in _PIP_KEYS:
            found[f"PIP_{name.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    return found


def npm_environment() -> dict[str, str]:
    """Return the environment variables by which npm reaches its registry as it does on this machine; {} without npm."""
    if shutil.which("npm") is None:
        return {}
    return translate_npm(_output("npm", "config", "list", "--json"))


def translate_npm(listed: str) -> dict[str, str]:
    """Return environment variables for npm from ``npm config list --json``; keys without a value are left out."""
    settings = json.loads(listed)
    wanted = {key: settings.get(key) for key in _NPM_KEYS}
    return {f"NPM_CONFIG_{key.upper().replace('-', '_')}": str(value) for key, value in wanted.items() if value}
