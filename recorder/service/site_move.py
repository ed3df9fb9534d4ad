"""Moves a site between files and a PostgreSQL server: the index, and the accounts with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.index_move import IndexMove, Moved, Progress, nobody_else
from recorder.recordings.move_plan import HOME, AlreadyThereError, MovePlan, MovePlanner, MoveRefusedError
from recorder.service.accounts_move import MOVED as ACCOUNTS_MOVED
from recorder.service.accounts_move import AccountsMove
from recorder.service.database_upgrade import upgrade
from storage.audit import AuditLog
from storage.audit_reading import of_act

OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsPlan:
    """What is to be done with the accounts.

    Attributes:
        move: Moves them; None if they were moved before.
        setting: Value of ``accounts_url`` afterwards.
    """

    move: AccountsMove | None
    setting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlan:
    """What would be moved; None for what is there already."""

    index: MovePlan | None
    accounts: AccountsPlan | None

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        index = {"from": None, "to": None} if self.index is None else self.index.as_json()
        return {**index, "moves_index": self.index is not None, "moves_accounts": self.accounts is not None}


@dataclass(slots=True, kw_only=True)
class SiteMoved:
    """What a move did.

    Attributes:
        index: The move of the index, or None.
        accounts: Rows of the accounts by table; None if they were not moved now.
        settings: New values in ``[storage]``.
        has_rights: Whether the roles of a site have their rights on the new tables; None for a file.
    """

    index: Moved | None = None
    accounts: dict[str, int] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    has_rights: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        index = {} if self.index is None else self.index.as_json()
        return {**index, "accounts": self.accounts, "roles_have_rights": self.has_rights}


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteMove:
    """Moves a site.

    Attributes:
        home: The home.
        config: Its configuration.
        target: `HOME`, or the URL of a PostgreSQL database.
        connecting: Returns the URL by which a database is opened.
        is_index_only: Leave the accounts where they are.
        now: The clock, UTC.
    """

    home: Home
    config: Config
    target: str
    connecting: Callable[[str], str]
    is_index_only: bool
    now: Callable[[], datetime]

    def plan(self) -> SitePlan:
        """Look at what is to be moved; changes nothing.

        Raises:
            MoveRefusedError: It cannot be moved.
            DatabaseError: One of the databases cannot be read, or is of a newer program.
        """
        accounts = None if self.is_index_only else self._accounts()
        try:
            index = self._planner.plan()
        except AlreadyThereError:
            if accounts is None:
                raise
            index = None
        return SitePlan(index=index, accounts=accounts)

    def run(self, by: str, change: Callable[[str, str], None], progress: Progress) -> SiteMoved:
        """Move the index, then the accounts. Run it again if it was interrupted.

        Args:
            by: Who ordered it, for the audit log.
            change: Called with each key of ``[storage]`` and its new value, once that is in force.
            progress: Called regularly.

        Raises:
            MoveRefusedError: It cannot be moved, and nothing was changed.
            StorageError, OSError: A database, the audit log or the disk failed; what was not moved is still in use.
        """
        done = SiteMoved()
        with nobody_else(self.home):
            plan = self.plan()
            if plan.index is not None:
                done.index = IndexMove(home=self.home, planner=self._planner, now=self.now).run(by, progress)
                done.settings["index_url"] = plan.index.setting
                change("index_url", plan.index.setting)
            if plan.accounts is not None:
                done.accounts = None if plan.accounts.move is None else plan.accounts.move.run()
                done.settings["accounts_url"] = plan.accounts.setting
                change("accounts_url", plan.accounts.setting)
            if self.target != HOME:
                url = self.connecting(self.target)
                accounts = {} if plan.accounts is None else {"accounts": url}
                done.has_rights = upgrade(self.home, {"index": url, **accounts})
        return done

    @property
    def _planner(self) -> MovePlanner:
        return MovePlanner(home=self.home, config=self.config, target=self.target, connecting=self.connecting)

    def _accounts(self) -> AccountsPlan | None:
        """Return what is to be done with the accounts; None if they are in their place, or there are none."""
        url, people = self.config.storage.accounts_url, self.home.people
        is_back = self.target == HOME
        if (url is None) == is_back:
            return None
        is_moved = self._moved_to() == ("file" if is_back else "server")
        if is_back:
            assert url is not None
            if people.exists() and not is_moved:
                raise MoveRefusedError(
                    f"{people} is there, and nothing is overwritten: move it away, then run this again"
                )
            move = None if people.exists() else AccountsMove(home=self.home, url=self.connecting(url), is_back=True)
            return AccountsPlan(move=move, setting=OFF)
        if people.exists():
            move = AccountsMove(home=self.home, url=self.connecting(self.target), is_back=False)
            return AccountsPlan(move=move, setting=self.target)
        return AccountsPlan(move=None, setting=self.target) if is_moved else None

    def _moved_to(self) -> str | None:
        """Return where the accounts were moved last: ``file``, ``server``, or None."""
        entries = list(of_act(AuditLog(self.home.audit).path, ACCOUNTS_MOVED))
        return str(entries[-1].details["to"]) if entries else None
