"""The console's threads for erasing, daily work, mail, recording assurance, events of cases, copies and backups."""

import threading
from functools import partial

from recorder.assurance.daily import keep_judging
from recorder.assurance.sources import CallRecordSources
from recorder.backups.following import follow_configured
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.forwarding.audit_shipping import CONSOLE_LOOK_S
from recorder.forwarding.webhook_queue import WebhookQueue
from recorder.notifications.case_events import CaseEvents
from recorder.notifications.postman import Postman
from recorder.recordings.archiving import Archiver
from recorder.retention.eraser import Eraser, keep_erasing
from recorder.retention.housekeeping import KeyHolder, run_housekeeping
from recorder.service.audit_copying import open_shipping
from recorder.service.console_work import has_shared_accounts, turns
from recorder.service.home_watch import KeyHolderWatch
from recorder.site_keys.epoch_needs import OtherNodes
from recorder.site_keys.publishing import keep_published
from recorder.web.deps import ConsoleDeps
from storage.epochs import EpochKeys


def start_threads(
    home: Home, config: Config, deps: ConsoleDeps, keys: EpochKeys, stopping: threading.Event
) -> list[threading.Thread]:
    """Start the threads, which run until ``stopping`` is set; returns them."""
    eraser, turn = deps.eraser, turns(config, deps.eraser)
    account_turn = turn if has_shared_accounts(deps) else lambda _name: None
    holder, archiver = _key_holder(home, eraser, keys), _archiver(home, config, eraser, keys)
    postman = Postman(
        repos=deps.watch, options=config.mail, site=config.site.name, state=home.state,
        turn=account_turn("notifications"),
    )  # fmt: skip
    work = {
        "erasing": partial(keep_erasing, eraser, stopping, turn=turn("erasing")),
        "housekeeping": partial(
            run_housekeeping, holder, archiver, stopping, more=deps.people_sweep.run, turn=turn("archiving")
        ),
        "post": partial(postman.keep, stopping),
        "assurance": partial(
            keep_judging,
            deps.watch.assurance,
            stopping,
            turn=turn("assurance"),
            alarms=deps.alarms,
            sources=CallRecordSources(
                options=config.call_records, audit=eraser.audit, zone=deps.watch.assurance.site.zone
            ),
        ),
    }
    if config.webhook:
        events = CaseEvents(
            cases=deps.watch.cases, queue=WebhookQueue(home.webhooks), targets=config.webhook,
            turn=account_turn("case-events"),
        )  # fmt: skip
        work["case-events"] = partial(events.keep, stopping)
    if config.is_shared_index:
        work["audit-copies"] = partial(open_shipping(home, config, look_s=CONSOLE_LOOK_S).keep, stopping)
        work["site-keys"] = partial(keep_published, home, eraser.index.database, stopping, now=utc_now)
    work["key-holder"] = partial(KeyHolderWatch(home, keys, eraser.vault, utc_now).keep, stopping)
    following = follow_configured(home, config.backup, eraser.vault.node, eraser.audit)
    if following is not None:
        work["backup"] = partial(following.keep, stopping)
    threads = [threading.Thread(target=keep, name=name, daemon=True) for name, keep in work.items()]
    for thread in threads:
        thread.start()
    return threads


def _key_holder(home: Home, eraser: Eraser, keys: EpochKeys) -> KeyHolder:
    return KeyHolder(
        vault=eraser.vault,
        keys=keys,
        index=eraser.index,
        audit=eraser.audit,
        lock=home.erasing_lock,
        now=utc_now,
        elsewhere=OtherNodes(home, eraser.index.database, now=utc_now).needs,
    )


def _archiver(home: Home, config: Config, eraser: Eraser, keys: EpochKeys) -> Archiver:
    return Archiver(
        vault=eraser.vault,
        keys=keys,
        index=eraser.index,
        erasures=eraser.erasures,
        holds=eraser.holds,
        audit=eraser.audit,
        lock=home.erasing_lock,
        rule=config.archive,
        now=utc_now,
    )
