"""Writes who may do what into docs/permissions.md, from the table: ``python -m docs.make_permissions``."""

from pathlib import Path

from recorder.domain.access import LOCAL_ACTS, SCOPE_OF, TABLE, VERBS, Act, Role

PAGE = Path(__file__).parent / "permissions.md"
BEGIN, END = "<!-- permissions: begin -->\n", "<!-- permissions: end -->\n"


def mark(role: Role, act: Act) -> str:
    """Return what a cell of the table says."""
    allowed = TABLE[role].get(act)
    if allowed is None:
        return ""
    if allowed.needs_leave:
        return "with leave"
    if allowed.break_glass:
        return "break-glass"
    if allowed.team_only:
        return "own teams"
    return "own calls" if allowed.own_only else "yes"


def table() -> str:
    """Return the matrix as Markdown: acts down, roles across, then the shell and tokens."""
    heads = ["to", *(role.replace("_", " ") for role in Role), "at the shell, unnamed", "token with scope"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for act in Act:
        cells = [f"{VERBS[act]} (`{act}`)", *(mark(role, act) for role in Role)]
        cells += ["yes" if act in LOCAL_ACTS else "", f"`{SCOPE_OF[act]}`" if act in SCOPE_OF else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def updated(text: str) -> str:
    """Return a page with the matrix as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
