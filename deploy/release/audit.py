"""`make audit`: which locked releases have known vulnerabilities, by pip-audit.

Before it believes an advisory service that knows of nothing, it asks about a release that is known to be vulnerable. A
service that does not report that one was not reached: then nothing was audited, and this says so and exits with 3.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.release.lock import FOLDER, ROOT

PIP_AUDIT = ROOT / ".venv/tools/bin/pip-audit"
SERVICES = ("pypi", "osv")
CONTROL = "jinja2==2.10"
"""CVE-2019-10906 and others."""
NONE_KNOWN, VULNERABLE, NOT_ASKED = 0, 1, 3


def ask(service: str, requirements: Path, *options: str) -> Mapping[str, Any]:
    """Return pip-audit's answer about a requirements file; empty if it gave none."""
    words = [str(PIP_AUDIT), "-s", service, "--disable-pip", "-f", "json", "--progress-spinner", "off", *options]
    done = subprocess.run(  # noqa: S603 - fixed words
        [*words, "-r", str(requirements)], capture_output=True, text=True, check=False
    )
    try:
        answer: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {}
    return answer


def judge(answers: Mapping[str, Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit code, and what to say.

    Args:
        answers: pip-audit's answer for each file of the lock.
    """
    known, unknown = [], []
    for file, answer in answers.items():
        if "dependencies" not in answer:
            unknown.append(f"{file}: the advisory service gave no answer")
        for one in answer.get("dependencies", ()):
            if "skip_reason" in one:
                unknown.append(f"{file}: {one['name']} could not be asked about: {one['skip_reason']}")
            for found in one.get("vulns", ()):
                fixed = ", ".join(found["fix_versions"]) or "no release yet"
                known.append(f"{file}: {one['name']} {one['version']}: {found['id']}, fixed in {fixed}")
    if known:
        return VULNERABLE, [*known, "make lock UPGRADE=1 takes newer releases"]
    return (NOT_ASKED if unknown else NONE_KNOWN), unknown


def find_service(services: Sequence[str] = SERVICES) -> str | None:
    """Return the first service that reports a release that is known to be vulnerable; None if none does."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as control:
        control.write(f"{CONTROL}\n")
        control.flush()
        for service in services:
            if judge({"control": ask(service, Path(control.name), "--no-deps")})[0] == VULNERABLE:
                return service
    return None


def main() -> int:
    """Audit every file of the lock; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.release.audit", description=__doc__)
    parser.add_argument("--if-reachable", action="store_true", help="exit with 0 where no advisory service is reached")
    options = parser.parse_args()
    service = find_service()
    if service is None:
        code, said = NOT_ASKED, ["no advisory service can be reached from here"]
    else:
        files = sorted(FOLDER.glob("*.txt"))
        code, said = judge({path.name: ask(service, path, "--require-hashes") for path in files})
    print(*said, sep="\n", file=sys.stderr)
    if code == NONE_KNOWN:
        print(f"No known vulnerability, says the advisory service {service}.")
    if code == NOT_ASKED:
        print("KNOWN VULNERABILITIES WERE NOT CHECKED.", file=sys.stderr)
    return NONE_KNOWN if code == NOT_ASKED and options.if_reachable else code


if __name__ == "__main__":
    sys.exit(main())
