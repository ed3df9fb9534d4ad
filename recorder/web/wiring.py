"""Builds the console's dependencies from a recorder's home."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from argon2 import PasswordHasher
from sqlalchemy import Engine

from recorder.access.accounts import People, usable_people
from recorder.access.acknowledgements import Acknowledgements
from recorder.access.database import open_accounts
from recorder.access.identities import ConnectedIdentities
from recorder.access.listening.repositories import AccessRepositories
from recorder.access.openid.provider import Provider
from recorder.access.proposals import Proposals
from recorder.access.seals import Seals
from recorder.access.second_factor import SecondFactors
from recorder.access.sessions import Sessions
from recorder.access.signed_in import managed_teams
from recorder.access.signing import Signer, ensure_key
from recorder.access.tokens import Tokens
from recorder.audit.audit_service import AuditService
from recorder.audit.copies import SiteLog, log_name
from recorder.audit.late_entries import CONSOLE_FOLDER, LateEntries
from recorder.backups.rehearsal import remove_left
from recorder.calls.notices import NoticeStore
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.control.client import SERVICE
from recorder.control.site import OpenSite, open_site
from recorder.control.site_events import StreamTimes
from recorder.data_subjects.case_deadlines import needed_hold
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.case_repository import CaseRepository
from recorder.data_subjects.telling import note_erasure
from recorder.data_subjects.transcripts import Transcripts, case_file
from recorder.exports.copy_orders import CopyRepositories
from recorder.notifications.watch import WatchRepositories, watch_repositories
from recorder.recordings.home_stores import open_index, open_vault, shared_name
from recorder.recordings.keyring import epoch_keys
from recorder.recordings.lengths import row_with_lengths
from recorder.recordings.resurrection_guard import destroy_returned
from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.console_sweep import PeopleSweep
from recorder.retention.eraser import Eraser
from recorder.retention.erasure_approvals import Approvals
from recorder.retention.erasure_repositories import ErasureRepositories
from recorder.retention.hold_repositories import HoldRepositories
from recorder.retention.holding import settle_holds
from recorder.web.deps import ConsoleDeps
from recorder.web.pulse import BEAT_S, SILENCE_S
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies
from storage.epochs import EpochKeys
from storage.erasures import Erasures
from storage.holds import Holds
from storage.index import Index
from storage.reader import open_recording
from storage.vault import Vault

_BEATS = StreamTimes(connect_s=SILENCE_S, silence_s=SILENCE_S, beat_s=BEAT_S)
_LONGEST_S = 30.0
"""Limit of a statement on a server with the index, seconds; searches take milliseconds."""
_log = logging.getLogger(__name__)

_ORIGIN = {"where": "console"}
"""Origin of acts, for the audit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """An opened home, shared by several dependencies."""

    home: Home
    config: Config
    keys: EpochKeys
    vault: Vault
    engine: Engine
    index: Index
    audit: AuditLog
    people: People
    hearing: AccessRepositories
    cases: CaseRepository
    now: Callable[[], datetime]


@contextmanager
def open_console(
    home: Home,
    config: Config,
    *,
    is_tls: bool = False,
    keys: EpochKeys | None = None,
    now: Callable[[], datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
    hasher: PasswordHasher | None = None,
) -> Iterator[ConsoleDeps]:
    """Open the console's dependencies, and close them at the end.

    Args:
        home: The recorder's home.
        config: Its configuration.
        is_tls: Whether browsers use HTTPS.
        keys: The private keys; None opens the configured ones.
        now: Returns the current time.
        clock: Monotonic, seconds.
        hasher: Hashes passwords; None is argon2id with its usual costs.

    Raises:
        StorageError: The node's keys or the index cannot be opened.
        OSError: The accounts database cannot be opened.
    """
    with ExitStack() as stack:
        opened = _opened(
            stack, home, config, keys=keys or epoch_keys(home, config), now=now, clock=clock, hasher=hasher
        )
        ensure_key(home.root)
        signer = Signer(home.root)
        site = stack.enter_context(open_site(home, config.node, opened.index.database, signer))
        yield _console_deps(opened, site, is_tls=is_tls)


def _opened(
    stack: ExitStack,
    home: Home,
    config: Config,
    *,
    keys: EpochKeys,
    now: Callable[[], datetime],
    clock: Callable[[], float],
    hasher: PasswordHasher | None,
) -> _Opened:
    """Open a home, and finish interrupted work in it; the stack closes it."""
    engine = open_accounts(home, config.storage.accounts_url)
    stack.callback(engine.dispose)
    index = open_index(home, config, longest_s=_LONGEST_S, now=now)
    stack.callback(index.close)
    vault = open_vault(home, config, index)
    destroy_returned(home, vault, index.database, now, node=shared_name(config))
    remove_left(home)
    audit = AuditLog(home.audit)
    settle_holds(home.state, Holds(index.database), audit)
    people = People(engine, now=now, hasher=hasher, seals=Seals(audit))
    late = LateEntries(audit, home.state / CONSOLE_FOLDER, alarm=_late, now=now, clock=clock)
    audit_service = AuditService(audit=audit, late=late, origin=_ORIGIN)
    return _Opened(
        home=home,
        config=config,
        keys=keys,
        vault=vault,
        engine=engine,
        index=index,
        audit=audit,
        people=people,
        hearing=AccessRepositories.on(engine, index, people, audit_service, now),
        cases=CaseRepository(engine, now=now),
        now=now,
    )


def _site_log(opened: _Opened) -> SiteLog | None:
    if not opened.config.is_shared_index:
        return None
    name = log_name(opened.config, opened.vault.node)
    return SiteLog(log=opened.audit, name=name, copies=AuditCopies(opened.index.database))


def _late(what: str) -> None:
    _log.error("audit log not written, act done anyway, entry follows later: %s", what)


def _console_deps(opened: _Opened, site: OpenSite, *, is_tls: bool) -> ConsoleDeps:
    config, engine, now = opened.config, opened.engine, opened.now
    sessions = Sessions(engine, now=now, limits=config.console.sign_in.limits)
    hold_repositories = _hold_repositories(opened)
    cases = CaseRepositories(
        cases=opened.cases, hearing=opened.hearing, holds=hold_repositories, timezone=config.site.timezone
    )
    return ConsoleDeps(
        people=opened.people,
        tokens=Tokens(engine, now=now),
        sessions=sessions,
        managed=partial(managed_teams, opened.people, sessions),
        second_factors=SecondFactors(engine, now=now),
        acknowledgements=Acknowledgements(engine),
        proposals=Proposals(engine, now=now, vouched=opened.people.vouched),
        identities=ConnectedIdentities(engine, now=now),
        provider=Provider(config.openid, now=now) if config.openid.issuer is not None else None,
        sign_in=config.console.sign_in,
        rates=config.console.rates,
        search_by_post=config.console.search_by_post,
        connection_limits=config.console.connection_limits,
        index=opened.index,
        audit=opened.audit,
        live=site.live,
        events=lambda actor: site.events(actor, StreamTimes()),
        beats=partial(site.events, SERVICE, _BEATS),
        copy_repositories=_copy_repositories(opened),
        transcripts=Transcripts(engine),
        repos=_erasure_repositories(opened),
        hold_repositories=hold_repositories,
        cases=cases,
        watch=_watch(opened, cases, site),
        notices=NoticeStore(opened.home.notices, now=now),
        services=tuple(service.name for service in config.service),
        site_log=_site_log(opened),
        people_sweep=_people_sweep(opened),
        eraser=_eraser(opened),
        hearing=opened.hearing,
        row_json=row_with_lengths,
        site=config.site.name,
        colour=config.site.colour,
        timezone=config.site.timezone,
        now=now,
        is_tls=is_tls,
    )


def _hold_repositories(opened: _Opened) -> HoldRepositories:
    return HoldRepositories(
        index=opened.index,
        holds=Holds(opened.index.database),
        audit=opened.audit,
        audit_service=opened.hearing.audit_service,
        vault=opened.vault,
        people=lambda: usable_people(opened.people),
        state=opened.home.state,
        now=opened.now,
        needed=partial(needed_hold, opened.cases, opened.config.site.timezone),
    )


def _copy_repositories(opened: _Opened) -> CopyRepositories:
    vault = opened.vault
    return CopyRepositories(
        index=opened.index,
        requests=opened.hearing.requests,
        vault=vault,
        open=lambda row: open_recording(vault.container(row), opened.home.root, opened.keys),
        audit=opened.audit,
        audit_service=opened.hearing.audit_service,
        site=opened.config.site.name,
        timezone=opened.config.site.timezone,
        now=opened.now,
        case_file=partial(case_file, opened.cases, Transcripts(opened.engine)),
    )


def _erasure_repositories(opened: _Opened) -> ErasureRepositories:
    return ErasureRepositories(
        index=opened.index,
        erasures=Erasures(opened.index.database),
        audit=opened.audit,
        audit_service=opened.hearing.audit_service,
        vault=opened.vault,
        forgot_s=opened.config.pause.forgot_s,
        alone_day_s=opened.config.pause.alone_day_s,
        now=opened.now,
        approvals=Approvals(opened.engine),
        person=opened.people.find,
        vouched=opened.people.vouched,
    )


def _eraser(opened: _Opened) -> Eraser:
    return Eraser(
        vault=opened.vault,
        keys=opened.keys,
        index=opened.index,
        erasures=Erasures(opened.index.database),
        holds=Holds(opened.index.database),
        audit=opened.audit,
        lock=opened.home.erasing_lock,
        now=opened.now,
        approvals=Approvals(opened.engine),
        tell=partial(note_erasure, opened.cases, opened.audit, opened.config.site.timezone),
        alone_day_s=opened.config.pause.alone_day_s,
    )


def _people_sweep(opened: _Opened) -> PeopleSweep:
    return PeopleSweep(
        former=AccountExpiry(opened.engine),
        audit=opened.audit,
        state=opened.home.state,
        periods=opened.config.periods,
        now=opened.now,
    )


def _watch(opened: _Opened, cases: CaseRepositories, site: OpenSite) -> WatchRepositories:
    return watch_repositories(
        opened.engine, cases, opened.audit, opened.config, opt_outs=site.opt_outs, takeovers=site.takeovers
    )
