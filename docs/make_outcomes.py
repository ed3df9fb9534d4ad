"""Writes the tables of reasons into docs/outcomes.md, from the code: ``python -m docs.make_outcomes``."""

from pathlib import Path

from docs.generated import between
from recorder.rules import wording
from recorder.rules.words.reasons import GROUPS

PAGE = Path(__file__).parent / "outcomes.md"
BEGIN, END = "<!-- reasons: begin -->\n", "<!-- reasons: end -->\n"


def tables() -> str:
    """Return a table of reasons for each group, as Markdown."""
    parts = []
    for title, group in GROUPS.items():
        lines = [f"### {title}\n", "| reason | on pages | outcome | means | do |", "|---|---|---|---|---|"]
        for reason, told in group.items():
            outcomes = ", ".join(f"`{one}`" for one in told.outcomes)
            lines.append(
                f"| `{reason}` | {wording.outcome_reason(reason)} | {outcomes} | {told.means} | {told.to_do} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def updated(page: str) -> str:
    """Return the page with the tables as the code has them."""
    return between(page, BEGIN, tables(), END)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
