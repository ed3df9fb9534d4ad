"""A console without a server: pages are asked in this process, as one account or another."""

import asyncio
import contextlib
import html
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI

from recorder.rules.limits import Rates
from recorder.web.app import create_app
from recorder.web.deps import ConsoleDeps
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from tests.helpers.accounts import MAKER
from tests.helpers.asked_app import Answer, ask
from tests.helpers.console_site import console_deps

FORM = "application/x-www-form-urlencoded"


class PagesSite:
    """The console; no daemon answers it."""

    def __init__(self, deps: ConsoleDeps, audit: Path, runner: asyncio.Runner) -> None:
        self.deps = deps
        self._audit = audit
        self._runner = runner
        self.app: FastAPI = create_app(replace(deps, rates=Rates(requests_per_s=1e6, acts_per_s=1e6)))

    def ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Ask the console; all in one loop, whose threads are made once."""
        return self._runner.run(ask(self.app, method, path, headers=headers, body=body))

    def entries(self, act: str = "") -> list[AuditEntry]:
        """Return what the console wrote into its audit log."""
        found = AuditLog(self._audit).entries()
        return [entry for entry in found if act in ("", entry.act) and entry.actor != MAKER]


class Visitor:
    """Somebody's browser."""

    def __init__(self, site: PagesSite, account: str) -> None:
        session = site.deps.sessions.start(account, is_proven=True)
        found = site.deps.sessions.find(session)
        assert found is not None
        self._site, self._csrf = site, found.csrf
        self.headers = {"cookie": f"recorder={session}", "x-csrf-token": found.csrf}

    def get(self, path: str) -> Answer:
        return self._site.ask("GET", path, headers=self.headers)

    def post(self, path: str, **fields: Any) -> Answer:
        body = urlencode({**fields, "csrf": self._csrf}, doseq=True).encode()
        return self._site.ask("POST", path, headers={**self.headers, "content-type": FORM}, body=body)


def words_of(answer: Answer) -> str:
    """Return the text of a page without its entities."""
    return html.unescape(answer.text)


@contextlib.contextmanager
def pages_site(folder: Path, **how: Any) -> Iterator[PagesSite]:
    """Make the console in a folder; ``how`` is as for `tests.helpers.console_site.console_deps`."""
    with console_deps(folder, **how) as (home, deps), asyncio.Runner() as runner:
        yield PagesSite(deps, home.audit, runner)
