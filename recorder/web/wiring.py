"""The console's real parts, out of a recorder's home."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial

from argon2 import PasswordHasher

from recorder.access.accounts import People, usable_people
from recorder.access.acknowledgements import Acknowledgements
from recorder.access.database import open_people
from recorder.access.identities import ConnectedIdentities
from recorder.access.listening.books import HearingBooks
from recorder.access.openid.provider import Provider
from recorder.access.proposals import Proposals
from recorder.access.seals import Seals
from recorder.access.second_factor import SecondFactors
from recorder.access.sessions import Sessions
from recorder.access.signed_in import managed_teams
from recorder.access.signing import Signer, ensure_key
from recorder.access.tokens import Tokens
from recorder.audit.ledger import Ledger
from recorder.calls.notices import NoticeStore
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.control import client as live_client
from recorder.control.client import LiveClient
from recorder.control.daemon_lists import opt_outs_of, takeovers_of
from recorder.data_subjects.book import CaseBook
from recorder.data_subjects.case_deadlines import needed_hold
from recorder.data_subjects.case_entries import CaseBooks
from recorder.data_subjects.telling import tell_of_erasure
from recorder.data_subjects.transcripts import Transcripts, case_file
from recorder.exports.copy_orders import CopyBooks
from recorder.notifications.watch import watch_books
from recorder.recordings.keyring import epoch_keys
from recorder.recordings.returned import destroy_returned
from recorder.retention.eraser import Eraser
from recorder.retention.erasure_approvals import Approvals
from recorder.retention.erasure_books import ErasureBooks
from recorder.retention.former import Former
from recorder.retention.hold_books import HoldBooks
from recorder.retention.holding import settle_holds
from recorder.retention.people_leftovers import PeopleSweep
from recorder.web.deps import ConsoleDeps
from recorder.web.pulse import BEAT_S, SILENCE_S
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.holds import Holds
from storage.index import Index, sqlite_url
from storage.keys import EpochKeys, NodeKeys
from storage.reader import open_recording
from storage.rows import row_to_json
from storage.vault import Vault

ANSWER_S = 1.8
"""How long the daemon may take: the page promises an answer within 2 s."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def open_console(
    home: Home,
    config: Config,
    *,
    is_tls: bool = False,
    keys: EpochKeys | None = None,
    now: Callable[[], datetime] = _utc_now,
    hasher: PasswordHasher | None = None,
) -> Iterator[ConsoleDeps]:
    """Open what the console is built on, and close it at the end.

    Args:
        home: The recorder's home.
        config: Its configuration.
        is_tls: Whether browsers come by HTTPS.
        keys: The private keys; None is as configured.
        now: The clock.
        hasher: Hashes passwords; None is argon2id with its usual costs.

    Raises:
        StorageError: The node's keys or the index cannot be opened.
        OSError: The file of people cannot be opened.
    """
    keys = keys or epoch_keys(home, config)
    vault = Vault(home.root, NodeKeys.load(home.root))
    with ExitStack() as stack:
        engine = open_people(home.people)
        stack.callback(engine.dispose)
        index = Index(config.storage.index_url or sqlite_url(home.index), now=now)
        stack.callback(index.close)
        destroy_returned(home, vault, index.database, now)
        audit, erasures, holds = AuditLog(home.audit), Erasures(index.database), Holds(index.database)
        settle_holds(home.state, holds, audit)
        people = People(engine, now=now, hasher=hasher, seals=Seals(audit))
        origin = {"where": "console"}
        hearing = HearingBooks.on(engine, index, people, Ledger(audit=audit, origin=origin), now)
        cases = CaseBook(engine, now=now)
        hold_books = HoldBooks(
            index=index,
            holds=holds,
            audit=audit,
            vault=vault,
            people=lambda: usable_people(people),
            state=home.state,
            now=now,
            origin=origin,
            needed=partial(needed_hold, cases, config.site.timezone),
        )
        sessions = Sessions(engine, now=now, limits=config.console.sign_in.limits)
        ensure_key(home.root)
        signer = Signer(home.root)
        live = stack.enter_context(LiveClient(home.socket, signer=signer, timeout_s=ANSWER_S))
        case_books = CaseBooks(cases=cases, hearing=hearing, holds=hold_books, timezone=config.site.timezone)
        watch = watch_books(
            engine, case_books, audit, config,
            opt_outs=lambda: opt_outs_of(home.socket, signer), takeovers=lambda: takeovers_of(home.socket, signer),
        )  # fmt: skip
        yield ConsoleDeps(
            people=people,
            tokens=Tokens(engine, now=now),
            sessions=sessions,
            managed=partial(managed_teams, people, sessions),
            second_factors=SecondFactors(engine, now=now),
            acknowledgements=Acknowledgements(engine),
            proposals=Proposals(engine, now=now),
            identities=ConnectedIdentities(engine, now=now),
            provider=Provider(config.openid, now=now) if config.openid.issuer is not None else None,
            sign_in=config.console.sign_in,
            rates=config.console.rates,
            connection_limits=config.console.connection_limits,
            index=index,
            audit=audit,
            live=live,
            events=lambda actor: live_client.events(home.socket, actor=actor, signer=signer),
            beats=lambda: live_client.events(
                home.socket,
                actor=live_client.SERVICE,
                signer=signer,
                connect_s=SILENCE_S,
                silence_s=SILENCE_S,
                beat_s=BEAT_S,
            ),
            copy_books=CopyBooks(
                index=index,
                requests=hearing.requests,
                vault=vault,
                open=lambda row: open_recording(vault.locate(row.path or ""), home.root, keys),
                audit=audit,
                site=config.site.name,
                timezone=config.site.timezone,
                now=now,
                origin=origin,
                case_file=partial(case_file, cases, Transcripts(engine)),
            ),
            transcripts=Transcripts(engine),
            books=ErasureBooks(
                index=index,
                erasures=erasures,
                audit=audit,
                vault=vault,
                forgot_s=config.pause.forgot_s,
                now=now,
                origin=origin,
                approvals=Approvals(engine),
                person=people.find,
            ),
            hold_books=hold_books,
            cases=case_books,
            watch=watch,
            notices=NoticeStore(home.notices).versions,
            people_sweep=PeopleSweep(
                former=Former(engine), audit=audit, state=home.state, periods=config.periods, now=now
            ),
            eraser=Eraser(
                vault=vault,
                keys=keys,
                index=index,
                erasures=erasures,
                holds=holds,
                audit=audit,
                lock=home.erasing_lock,
                now=now,
                approvals=Approvals(engine),
                tell=partial(tell_of_erasure, cases, audit, config.site.timezone),
            ),
            hearing=hearing,
            row_json=row_to_json,
            site=config.site.name,
            timezone=config.site.timezone,
            now=now,
            is_tls=is_tls,
        )
