"""The console and docs/alarms.md know the same alarms, and every alarm of the daemon."""

import ast
import re
from pathlib import Path

from recorder.rules.alarms import ALARMS, UNKNOWN, advice_on

ROOT = Path(__file__).parents[3]


def documented() -> set[str]:
    page = (ROOT / "docs" / "alarms.md").read_text()
    table = page.partition("| alarm | means | do |")[2].partition("\n\n")[0]
    return {
        name
        for line in table.splitlines()
        for name in re.findall(r"`([a-z_]+)`", line.split("|")[1] if "|" in line else "")
    }


def raised() -> set[str]:
    """Return what is given to anything called alarm, as a plain word."""
    found = set()
    for path in (ROOT / "recorder").rglob("*.py"):
        text = path.read_text()
        if "alarm(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("alarm", "_alarm")
            ):
                found |= {
                    one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return found


def test_the_page_of_health_knows_what_operations_tells_of() -> None:
    assert ALARMS.keys() == documented()
    names = raised()
    assert names - ALARMS.keys() == set()
    assert len(names) > 15


def test_each_says_what_it_means_and_what_to_do() -> None:
    assert all(one.means.endswith(".") and one.do.endswith(".") for one in ALARMS.values())
    assert advice_on("disk_full").do.startswith("Free space")
    assert advice_on("of a later version") is UNKNOWN
