"""Writes who may do what into docs/permissions.md, from the tables: ``python -m docs.make_permissions``."""

import re
from pathlib import Path

from docs.generated import between
from recorder.cli.command_access import IF_NAMED, NAMED, UNNAMED
from recorder.control.socket_access import KEYS, SOCKET
from recorder.permissions import SCOPE_OF, TABLE, Act, Role
from recorder.rules.live_access import LIVE_ACTS, SOURCE_TABLE, STANDS_IN, Relation, Source
from recorder.rules.live_access import relations_of as live_relations_of
from recorder.rules.requirement import EVERYWHERE, AccessLevel, Requirement, Subject, relations_of
from recorder.rules.words.people import VERBS
from recorder.web.route_access import API, PAGES

PAGE = Path(__file__).parent / "permissions.md"
BEGIN, END = "<!-- permissions: begin -->\n", "<!-- permissions: end -->\n"
LIVE_BEGIN, LIVE_END = "<!-- live: begin -->\n", "<!-- live: end -->\n"
COMMANDS_BEGIN, COMMANDS_END = "<!-- commands: begin -->\n", "<!-- commands: end -->\n"
_SOURCES = {
    Source.OFFICER_KEYS: "keys on the officer's phone",
    Source.CALLER_DIGITS: "the caller's digits",
    Source.MANAGER_PIN: "manager's PIN on the officer's phone",
    Source.TOKEN: "token, on its extensions",
    Source.SHELL: "at the machine, unnamed",
}


def mark(role: Role, act: Act) -> str:
    """Return what a cell of the table says."""
    allowed = TABLE[role].get(act)
    if allowed is None:
        return ""
    if allowed.needs_grant:
        return "with a grant"
    if allowed.break_glass:
        return "break-glass"
    parts = [word for word, is_so in (("own calls", allowed.own_only), ("own teams", allowed.team_only)) if is_so]
    return ", ".join(parts) or "yes"


def live_mark(role: Role, act: Act) -> str:
    """Return what a cell of the table of live calls says."""
    where = [str(relation) for relation in live_relations_of(role, act)]
    if role is Role.TEAM_LEADER and act in STANDS_IN:
        where.append("other, while no manager is signed in")
    return ", ".join(where)


def source_mark(source: Source, act: Act) -> str:
    """Return what a cell of those columns says that are no role."""
    if act not in SOURCE_TABLE[source][0]:
        return ""
    if source is Source.TOKEN:
        return f"`{SCOPE_OF[act]}`" + (", its own pause" if act is Act.RESUME else "")
    return "yes, with an alarm" if source is Source.SHELL and act is Act.PAUSE else "yes"


def _rows(heads: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _roles() -> list[str]:
    return [role.replace("_", " ") for role in Role]


def live_table() -> str:
    """Return who may act on a live call as Markdown: acts down; roles, and what is no role, across."""
    rows = [
        [
            f"{VERBS[act]} (`{act}`)",
            *(live_mark(role, act) for role in Role),
            *(source_mark(source, act) for source in Source),
        ]
        for act in LIVE_ACTS
    ]
    return _rows(["to", *_roles(), *(_SOURCES[source] for source in Source)], rows)


def table() -> str:
    """Return the matrix as Markdown: acts down, roles across, then tokens; without acts on live calls."""
    rows = [
        [
            f"{VERBS[act]} (`{act}`)",
            *(mark(role, act) for role in Role),
            f"`{SCOPE_OF[act]}`" if act in SCOPE_OF else "",
        ]
        for act in Act
        if act not in LIVE_ACTS or act is Act.RETROACTIVE_PAUSE
    ]
    return _rows(["to", *_roles(), "token with scope"], rows)


def commands_table() -> str:
    """Return the commands that need no person as Markdown."""
    return _rows(["command", "needs no person: it"], [[f"`recorder {name}`", why] for name, why in UNNAMED.items()])


def way_mark(role: Role, needed: Requirement) -> str:
    """Return what the cell of a role says in the line of a route or a command."""
    if needed.level is not AccessLevel.ROLE:
        return "yes"
    if role in needed.stand_ins and any(act in TABLE[role] for act in needed.acts):
        return "in their place"
    where = relations_of(role, needed)
    if not where:
        return "with a grant" if relations_of(role, needed, has_grant=True) else ""
    if any((allowed := TABLE[role].get(act)) is not None and allowed.break_glass for act in needed.acts):
        return "break-glass"
    if needed.subject is Subject.LIVE and where != EVERYWHERE:
        return live_mark(role, needed.acts[0])
    if needed.subject is Subject.PHONE:
        return "own"
    if needed.subject is Subject.NOTHING or where == EVERYWHERE:
        return "yes"
    return ", ".join(str(relation) for relation in Relation if relation in where)


def way_row(name: str, needed: Requirement) -> list[str]:
    """Return the line of a route or a command: what it takes, and who may."""
    acts = " or ".join(f"`{act}`" for act in needed.acts) or {
        AccessLevel.OPEN: "nothing, not even to sign in", AccessLevel.SIGNED_IN: "to be signed in",
    }[needed.level]  # fmt: skip
    notes = [needed.note, "the deputy too" if needed.is_deputys else "", "no token" if needed.is_personal else ""]
    if needed.is_for_others and "not who" not in needed.note:
        notes.append("not what is one's own")
    return [f"`{name}`", acts, *(way_mark(role, needed) for role in Role), "; ".join(filter(None, notes))]


def ways_tables() -> dict[str, str]:
    """Return, by the name of its place, everything that can be asked for, as Markdown."""
    heads = ["takes", *_roles(), "besides"]
    shell = {f"recorder {name}": needed for name, needed in {**NAMED, **IF_NAMED}.items()}
    listed = {"pages": ("page", PAGES), "api": ("route", API), "socket": ("route", SOCKET), "shell": ("command", shell)}
    found = {
        place: _rows([head, *heads], [way_row(name, needed) for name, needed in table.items()])
        for place, (head, table) in listed.items()
    }
    keys = [
        [f"`{name}`", f"`{one.act}`" if one.act else "", _SOURCES[one.source] if one.source else "", _linked(one.note)]
        for name, one in KEYS.items()
    ]
    return {**found, "keys": _rows(["setting", "act", "as", "who keys them"], keys)}


def _linked(note: str) -> str:
    """Return a note whose clauses of the policy lead to its page."""
    return re.sub(r"\bP\d+\b", r"[\g<0>](policy.md)", note)


def updated(text: str) -> str:
    """Return a page with the tables as they are now."""
    text = between(text, LIVE_BEGIN, live_table(), LIVE_END)
    text = between(text, COMMANDS_BEGIN, commands_table(), COMMANDS_END)
    for place, ways in ways_tables().items():
        text = between(text, f"<!-- {place}: begin -->\n", ways, f"<!-- {place}: end -->\n")
    return between(text, BEGIN, table(), END)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
