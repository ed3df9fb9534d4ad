"""Rules about people that the database enforces, whichever part of the program writes.

Python checks them first, with a sentence for the person. Triggers that are missing or of another version are created
again when the file is opened.
"""

from collections.abc import Mapping

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


_NOT_ICT = "SELECT RAISE(ABORT, 'ICT does not say that a sweep goes on');"
_ALONE = "SELECT RAISE(ABORT, 'admin excludes every role that hears');"
_DEPUTY = "SELECT RAISE(ABORT, 'two people name the deputy, neither of them a data protection officer');"
_ENDS_S = f"COALESCE(until_s, at_s + {_FOR_S})"

TRIGGERS: Mapping[str, str] = {
    "accounts_admin_alone_insert": (
        f"CREATE TRIGGER accounts_admin_alone_insert BEFORE INSERT ON accounts WHEN {_combined('NEW')} "
        f"BEGIN {_ALONE} END"
    ),
    # An account from before this rule keeps its roles, and may lose some.
    "accounts_admin_alone_update": (
        f"CREATE TRIGGER accounts_admin_alone_update BEFORE UPDATE OF roles ON accounts WHEN {_combined('NEW')} "
        f"AND ({_gains(Role.ADMIN, *_HEARING)}) BEGIN {_ALONE} END"
    ),
    "break_glass_one_at_a_time": (
        "CREATE TRIGGER break_glass_one_at_a_time BEFORE INSERT ON break_glass "  # noqa: S608 - of constants
        f"WHEN EXISTS (SELECT 1 FROM break_glass WHERE acknowledged_s IS NULL OR {_ENDS_S} > NEW.at_s) "
        "BEGIN SELECT RAISE(ABORT, 'the last one is not over and acknowledged'); END"
    ),
    "break_glass_a_day": (
        "CREATE TRIGGER break_glass_a_day BEFORE INSERT ON break_glass "  # noqa: S608 - of constants
        f"WHEN (SELECT count(*) FROM break_glass WHERE at_s > NEW.at_s - {_DAY_S}) >= {BREAK_GLASS_A_DAY} "
        "BEGIN SELECT RAISE(ABORT, 'the limit of a day is reached'); END"
    ),
    "break_glass_is_kept": (
        "CREATE TRIGGER break_glass_is_kept BEFORE UPDATE ON break_glass WHEN OLD.acknowledged_s IS NOT NULL "
        "OR NEW.at_s <> OLD.at_s OR NEW.until_s IS NOT OLD.until_s OR NEW.acknowledged_by = OLD.account "
        "BEGIN SELECT RAISE(ABORT, 'an act of break-glass is acknowledged once, by somebody else'); END"
    ),
    # A deputy from before this rule stays.
    "deputies_take_two": (
        "CREATE TRIGGER deputies_take_two BEFORE INSERT ON deputies WHEN NEW.confirmed_by IS NULL "
        "OR NEW.confirmed_by = NEW.named_by OR NEW.account IN (NEW.named_by, NEW.confirmed_by) "
        f"OR {_is('NEW.named_by', Role.DPO)} OR {_is('NEW.confirmed_by', Role.DPO)} "
        f"BEGIN {_DEPUTY} END"
    ),
    "deputies_are_kept": (f"CREATE TRIGGER deputies_are_kept BEFORE UPDATE ON deputies BEGIN {_DEPUTY} END"),
    "erasure_approvals_dpo": (
        "CREATE TRIGGER erasure_approvals_dpo BEFORE UPDATE ON erasure_approvals WHEN NEW.third <> OLD.third "
        f"OR NEW.ordered_by <> OLD.ordered_by OR (NEW.dpo_by IS NOT NULL AND NOT {_is('NEW.dpo_by', Role.DPO)}) "
        "BEGIN SELECT RAISE(ABORT, 'the data protection officer and the person who was named approve'); END"
    ),
    "requested_is_not_widened": (
        "CREATE TRIGGER requested_is_not_widened BEFORE UPDATE ON requested "  # noqa: S608 - of constants
        "WHEN NEW.spans IS NULL AND OLD.spans IS NOT NULL AND NOT EXISTS (SELECT 1 FROM requests WHERE "
        f"id = NEW.request AND category = '{Category.COMPLAINT}') "
        "BEGIN SELECT RAISE(ABORT, 'the whole call is granted for a complaint only'); END"
    ),
    "erasure_approvals_heard": (
        "CREATE TRIGGER erasure_approvals_heard BEFORE UPDATE ON erasure_approvals WHEN NEW.third_s IS NOT NULL "
        "AND NEW.dpo_s IS NOT NULL AND NEW.heard_by NOT IN (NEW.third, NEW.dpo_by) "
        "BEGIN SELECT RAISE(ABORT, 'one of the two who approve has listened to the span'); END"
    ),
    "sweep_consents_first": (
        "CREATE TRIGGER sweep_consents_first BEFORE INSERT ON sweep_consents "
        f"WHEN {_is('NEW.first_by', Role.ICT)} OR NEW.second_by IS NOT NULL BEGIN {_NOT_ICT} END"
    ),
    "sweep_consents_second": (
        "CREATE TRIGGER sweep_consents_second BEFORE UPDATE ON sweep_consents WHEN "
        f"{_is('NEW.first_by', Role.ICT)} OR {_is('NEW.second_by', Role.ICT)} OR OLD.used_s IS NOT NULL "
        f"OR NEW.first_by <> OLD.first_by OR NEW.due <> OLD.due BEGIN {_NOT_ICT} END"
    ),
    "sweep_consents_protector": (
        "CREATE TRIGGER sweep_consents_protector BEFORE UPDATE ON sweep_consents "  # noqa: S608 - of constants
        f"WHEN NEW.second_by IS NOT NULL AND NOT ({_is('NEW.first_by', Role.DPO)} OR {_is('NEW.second_by', Role.DPO)} "
        "OR EXISTS (SELECT 1 FROM deputies WHERE account IN (NEW.first_by, NEW.second_by))) "
        "BEGIN SELECT RAISE(ABORT, 'one of the two is the data protection officer or the deputy'); END"
    ),
}
"""By name, as SQLite stores them."""


def keep_rules(connection: Connection) -> None:
    """Create the triggers that are missing or of another version."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    there = {row[0]: row[1] for row in connection.exec_driver_sql(query)}
    for name, sql in TRIGGERS.items():
        if there.get(name) != sql:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
            connection.exec_driver_sql(sql)
