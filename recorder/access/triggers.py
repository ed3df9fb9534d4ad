"""Rules about people that the database enforces, whichever part of the program writes.

Python checks them first, with a sentence for the person. Triggers that are missing or of another version are created
again when the file is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from recorder.permissions import HEARING_ROLES, Role
from recorder.rules.requesting import BREAK_GLASS_A_DAY, BREAK_GLASS_FOR, Category

_DAY_S = 86_400
_FOR_S = int(BREAK_GLASS_FOR.total_seconds())


_HEARING = sorted(HEARING_ROLES)


def _has(row: str, role: Role) -> str:
    return f"',' || {row}.roles || ',' LIKE '%,{role},%'"


def _combined(row: str) -> str:
    """Return the SQL condition that a row's roles combine `admin` with a role that hears."""
    return f"({_has(row, Role.ADMIN)} AND ({' OR '.join(_has(row, role) for role in _HEARING)}))"


def _gains(*roles: Role) -> str:
    """Return the SQL condition that an update adds one of some roles."""
    return " OR ".join(f"({_has('NEW', role)} AND NOT {_has('OLD', role)})" for role in roles)


def _is(account: str, role: Role) -> str:
    return f"EXISTS (SELECT 1 FROM accounts WHERE name = {account} AND ',' || roles || ',' LIKE '%,{role},%')"  # noqa: S608 - of constants


_NOT_ICT = "ICT does not say that a sweep goes on"
_ALONE = "admin excludes every role that hears"
_DEPUTY = "two people name the deputy, neither of them a data protection officer"
_ENDS_S = f"COALESCE(until_s, at_s + {_FOR_S})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule about the rows of one table, as a trigger that refuses to insert or to update one.

    Attributes:
        event: ``INSERT`` or ``UPDATE``.
        column: The only column of an update that it looks at; empty for all.
        table: Whose rows.
        refuses: Condition on ``NEW`` and ``OLD`` in SQL that both engines understand; empty for always.
        says: The message.
    """

    event: str
    column: str = ""
    table: str
    refuses: str = ""
    says: str

    def for_sqlite(self, name: str) -> str:
        """Return the statement that makes the trigger."""
        of, when = f" OF {self.column}" if self.column else "", f"WHEN {self.refuses} " if self.refuses else ""
        return (
            f"CREATE TRIGGER {name} BEFORE {self.event}{of} ON {self.table} {when}"
            f"BEGIN SELECT RAISE(ABORT, '{self.says}'); END"
        )

    def body(self, lock: int) -> str:
        """Return the body of the function for PostgreSQL, which lets no other transaction judge at the same time."""
        return (
            f"BEGIN PERFORM pg_advisory_xact_lock({lock}); IF {self.refuses or 'TRUE'} THEN RAISE EXCEPTION USING "
            f"MESSAGE = '{self.says}', ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END"
        )


RULES: Mapping[str, Rule] = {
    "accounts_admin_alone_insert": Rule(event="INSERT", table="accounts", refuses=_combined("NEW"), says=_ALONE),
    # An account from before this rule keeps its roles, and may lose some.
    "accounts_admin_alone_update": Rule(
        event="UPDATE", column="roles", table="accounts", says=_ALONE,
        refuses=f"{_combined('NEW')} AND ({_gains(Role.ADMIN, *_HEARING)})",
    ),
    "break_glass_one_at_a_time": Rule(
        event="INSERT", table="break_glass", says="the last one is not over and acknowledged",
        refuses=f"EXISTS (SELECT 1 FROM break_glass WHERE acknowledged_s IS NULL OR {_ENDS_S} > NEW.at_s)",  # noqa: S608 - of constants
    ),
    "break_glass_a_day": Rule(
        event="INSERT", table="break_glass", says="the limit of a day is reached",
        refuses=f"(SELECT count(*) FROM break_glass WHERE at_s > NEW.at_s - {_DAY_S}) >= {BREAK_GLASS_A_DAY}",  # noqa: S608 - of constants
    ),
    "break_glass_is_kept": Rule(
        event="UPDATE", table="break_glass", says="an act of break-glass is acknowledged once, by somebody else",
        refuses="OLD.acknowledged_s IS NOT NULL OR NEW.at_s <> OLD.at_s "
        "OR COALESCE(NEW.until_s, -1) <> COALESCE(OLD.until_s, -1) OR NEW.acknowledged_by = OLD.account",
    ),
    # A deputy from before this rule stays.
    "deputies_take_two": Rule(
        event="INSERT", table="deputies", says=_DEPUTY,
        refuses="NEW.confirmed_by IS NULL "
        "OR NEW.confirmed_by = NEW.named_by OR NEW.account IN (NEW.named_by, NEW.confirmed_by) "
        f"OR {_is('NEW.named_by', Role.DPO)} OR {_is('NEW.confirmed_by', Role.DPO)}",
    ),
    "deputies_are_kept": Rule(event="UPDATE", table="deputies", says=_DEPUTY),
    "erasure_approvals_dpo": Rule(
        event="UPDATE", table="erasure_approvals",
        says="the data protection officer and the person who was named approve",
        refuses="NEW.third <> OLD.third "
        f"OR NEW.ordered_by <> OLD.ordered_by OR (NEW.dpo_by IS NOT NULL AND NOT {_is('NEW.dpo_by', Role.DPO)})",
    ),
    "requested_is_not_widened": Rule(
        event="UPDATE", table="requested", says="the whole call is granted for a complaint only",
        refuses="NEW.spans IS NULL AND OLD.spans IS NOT NULL AND NOT EXISTS (SELECT 1 FROM requests WHERE "  # noqa: S608 - of constants
        f"id = NEW.request AND category = '{Category.COMPLAINT}')",
    ),
    "erasure_approvals_heard": Rule(
        event="UPDATE", table="erasure_approvals", says="one of the two who approve has listened to the span",
        refuses="NEW.third_s IS NOT NULL AND NEW.dpo_s IS NOT NULL AND NEW.heard_by NOT IN (NEW.third, NEW.dpo_by)",
    ),
    "sweep_consents_first": Rule(
        event="INSERT", table="sweep_consents", says=_NOT_ICT,
        refuses=f"{_is('NEW.first_by', Role.ICT)} OR NEW.second_by IS NOT NULL",
    ),
    "sweep_consents_second": Rule(
        event="UPDATE", table="sweep_consents", says=_NOT_ICT,
        refuses=f"{_is('NEW.first_by', Role.ICT)} OR {_is('NEW.second_by', Role.ICT)} OR OLD.used_s IS NOT NULL "
        "OR NEW.first_by <> OLD.first_by OR NEW.due <> OLD.due",
    ),
    "sweep_consents_protector": Rule(
        event="UPDATE", table="sweep_consents",
        says="one of the two is the data protection officer or the deputy",
        refuses=f"NEW.second_by IS NOT NULL AND NOT ({_is('NEW.first_by', Role.DPO)} "  # noqa: S608 - of constants
        f"OR {_is('NEW.second_by', Role.DPO)} "
        "OR EXISTS (SELECT 1 FROM deputies WHERE account IN (NEW.first_by, NEW.second_by)))",
    ),
}  # fmt: skip
"""By the name of the trigger."""

TRIGGERS: Mapping[str, str] = {name: rule.for_sqlite(name) for name, rule in RULES.items()}
"""By name, as SQLite stores them."""


def keep_rules(connection: Connection) -> None:
    """Create the triggers of a SQLite file that are missing or of another version."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    there = {row[0]: row[1] for row in connection.exec_driver_sql(query)}
    for name, sql in TRIGGERS.items():
        if there.get(name) != sql:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            connection.exec_driver_sql(sql)
