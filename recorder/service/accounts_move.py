"""Moves the accounts of a home between its file and a PostgreSQL server, and enters that into the audit log."""

import os
from dataclasses import dataclass
from pathlib import Path

from recorder.access.accounts_copy import copy_from_file, copy_to_file
from recorder.access.database import open_accounts
from recorder.common.home import Home
from recorder.common.system_user import os_user
from storage.audit import AuditLog
from storage.errors import DatabaseError

MOVED = "accounts.moved"
"""Act of the audit log: the accounts are in another database from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsMove:
    """Where accounts are copied from and to.

    Attributes:
        home: The home.
        url: Of the server, as the role that owns the tables.
        is_back: From the server into the file.
    """

    home: Home
    url: str
    is_back: bool

    def check(self) -> None:
        """Check that there is something to copy, and that nothing would be replaced.

        Raises:
            DatabaseError: There is not, or something would.
        """
        people = self.home.people
        if self.is_back and people.exists():
            raise DatabaseError(f"{people} is there: move it away, if it is not in use any more", is_passing=False)
        if not self.is_back and not people.exists():
            raise DatabaseError(f"{people} is missing: there are no accounts to move", is_passing=False)

    def run(self) -> dict[str, int]:
        """Copy and compare the rows; returns their number by table.

        Raises:
            DatabaseError, OSError: See `recorder.access.accounts_copy`.
            AuditUnavailableError: The audit log cannot be written; nothing was changed.
        """
        self.check()
        accounts = open_accounts(self.home, self.url)
        try:
            if not self.is_back:
                return copy_from_file(self.home.people, accounts, enter=self._enter)
            new = self.home.people.with_name(f".new-{self.home.people.name}")
            counts = copy_to_file(accounts, new)
            _like_the_home(new, self.home.root)
            self._enter()
            new.rename(self.home.people)
            return counts
        finally:
            accounts.dispose()

    def _enter(self) -> None:
        details = {"to": "file" if self.is_back else "server", "without_account": True}
        AuditLog(self.home.audit).append(MOVED, f"os:{os_user()}", "", details)


def _like_the_home(file: Path, folder: Path) -> None:
    owner, found = folder.stat(), file.stat()
    if (owner.st_uid, owner.st_gid) != (found.st_uid, found.st_gid):
        os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)
