"""`recorder site-check`: what is wrong or missing in a home and its machine."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import typer

from recorder.access.accounts import combining_admin, count_usable, usable_people
from recorder.access.deputies import named_by_one
from recorder.access.listening.appointments import Appointments
from recorder.access.sealed_secrets import SealedSecrets
from recorder.calls.announcements import MessageChoice, choice_of, load_announcements
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.cli.accounts import accounts_exist, accounts_of
from recorder.cli.context import HomeContext
from recorder.cli.identity import people_of
from recorder.cli.output import print_json, print_table, say
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.control.client import LiveClient
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.permissions import Role
from recorder.recordings.keyring import epoch_keys
from recorder.rules import wording
from recorder.service.backup_check import check_backup
from recorder.service.certificates import check_tls
from recorder.service.config_check import (
    check_accounts,
    check_anchors,
    check_answered_by,
    check_metrics,
    check_operators,
    check_pause_keys,
    check_review,
    check_sign_in,
    check_siprec,
    check_srtp,
    check_teamless,
    check_teams,
)
from recorder.service.database_check import check_databases
from recorder.service.findings import Level, SiteFinding, error, ok, warning
from recorder.service.forwarding_check import check_syslog, check_webhooks
from recorder.service.home_check import check_folders, check_listening, check_next_hops, check_private_keys
from recorder.service.kernel_relay import check_kernel_relay, read_means
from recorder.service.machine import read_machine
from recorder.service.machine_check import check_machine
from recorder.service.media_io import check_media_io, read_uring_means
from recorder.service.object_check import check_objects
from recorder.service.openid_check import check_openid
from recorder.service.peer_check import check_alarms, check_targets
from recorder.service.site_keys_check import check_site_keys
from recorder.site_keys.places import has_joined
from storage.epochs import current_public, names_in
from storage.errors import DatabaseError, StorageError
from storage.keys import NodeKeys

MIN_PEOPLE = 2
"""Smallest number of usable accounts: some decisions need a second person."""


def site_check(context: HomeContext) -> None:
    """Check configuration, keys, messages, accounts and machine. Exit 1 if something stops the recorder."""
    findings = list(_findings(context.home, context.config))
    if context.json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print_findings(findings)
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(1)


def _print_findings(findings: list[SiteFinding]) -> None:
    rows = [asdict(finding) for finding in findings]
    print_table(rows, [("level", ""), ("what", "Checked"), ("says", "Found")], empty="")
    for finding in findings:
        if finding.level is not Level.OK:
            say(f"{finding.level.value}: {finding.what}: {finding.why}; {finding.do}")


def _findings(home: Home, config: Config) -> Iterator[SiteFinding]:
    says = f"{len(config.extension)} nominated extensions, {len(config.route)} routes"
    yield SiteFinding(level=Level.OK, what="configuration", says=f"{says}, times in {config.site.timezone}")
    yield from _check_keys(home, config)
    yield from _check_messages(home, config)
    yield from check_databases(config)
    can_open = config.storage.accounts_url is None or _can_open(home)
    if can_open:
        yield from _check_people(home)
    yield from check_sign_in(config)
    yield from check_openid(config)
    if can_open and accounts_exist(home):
        people = usable_people(people_of(home))
        yield from check_teams(config, people)
        yield from check_operators(config, people)
    yield from check_teamless(config)
    yield from check_accounts(config)
    yield from check_anchors(config)
    yield from check_syslog(config)
    yield from check_webhooks(config)
    yield from check_backup(home, config)
    yield from check_objects(home, config)
    yield from check_review(config, utc_now().date())
    yield from check_srtp(config)
    yield from check_answered_by(config)
    yield from check_pause_keys(config)
    yield from check_siprec(config)
    yield from check_metrics(config)
    yield from check_targets(config)
    yield from check_next_hops(config)
    alarms = _alarms_of(home)
    yield from check_listening(config, is_running=alarms is not None)
    yield from check_alarms(alarms or {})
    yield from check_tls(config, utc_now())
    yield from check_site_keys(home, utc_now())
    yield from check_folders(home)
    yield from check_machine(read_machine(), config)
    means = read_means()
    yield from check_kernel_relay(config, means)
    yield from check_media_io(config, read_uring_means(means.kernel))


def _can_open(home: Home) -> bool:
    """Tell whether accounts on a server can be used; `check_databases` says why not."""
    try:
        accounts_of(home)
    except DatabaseError:
        return False
    return True


def _alarms_of(home: Home) -> dict[str, int] | None:
    try:
        with LiveClient(home.socket) as live:
            alarms: dict[str, int] = live.health()["alarms"]
            return alarms
    except DaemonRefusedError:
        return {}
    except DaemonUnavailableError:
        return None


def _check_messages(home: Home, config: Config) -> Iterator[SiteFinding]:
    choice = choice_of(config)
    for name in filter(None, (choice.first, choice.second)):
        yield from _check_message(home, config, replace(choice, first=name, second=None))


def _check_message(home: Home, config: Config, choice: MessageChoice) -> Iterator[SiteFinding]:
    store, now, what = NoticeStore(home.notices), utc_now(), f"message {choice.first}"
    try:
        found = load_announcements(store, choice, now)
        versions = {(one.name, one.version): one for one in store.versions()}
    except NoticeError as problem:
        why = "nobody is recorded without hearing it"
        yield error(what, str(problem), why=why, do="run `recorder notices import`")
        return
    for message in found.playing(now):
        version = versions[message.name, message.version]
        says = f"version {message.version}, {wording.language(message.language)}, {message.prompt.duration_s:.1f} s"
        if version.is_placeholder:
            whose = "names Wold Borough Council" if version.is_shipped else "is spoken by a computer"
            do = "record a voice with `recorder notices record`"
            yield warning(what, f"{says}: it {whose}", why="callers hear a placeholder", do=do)
        else:
            yield ok(what, says)
    for service in config.service:
        for _, tag in found.missing(service.name, now):
            yield warning(
                what, f"nothing in {wording.language(tag)} is in force for {service.name}",
                why="its callers hear the other languages only",
                do=f"run `recorder notices import {choice.first} FILE --language {tag}`",
            )  # fmt: skip


def _check_people(home: Home) -> Iterator[SiteFinding]:
    if has_joined(home):
        return  # the accounts are on the console host
    if not accounts_exist(home):
        why = "nobody can sign in"
        yield error("people", f"{home.people} is missing", why=why, do="restore it, or run `recorder users add`")
        return
    for person in combining_admin(people_of(home)):
        others = ", ".join(sorted(person.roles - {Role.ADMIN}))
        yield warning(
            f"account {person.name}", f"it combines admin with {others}, so it may hear nothing",
            why="a person who changes accounts must not hear recordings",
            do=f"run `recorder users remove-role {person.name} --role ...` for one, and give it to another person",
        )  # fmt: skip
    by_one = named_by_one(accounts_of(home))
    if by_one is not None:
        yield warning(
            "deputy", f"one person named {by_one}",
            why="the deputy decides on the data protection officer's requests, so two other people must name them",
            do=f"run `recorder approvers deputy {by_one}`; another person: `recorder proposals confirm`",
        )  # fmt: skip
    differs = Appointments(accounts_of(home), now=utc_now).unexplained(people_of(home))
    if differs is not None:
        yield error(
            "deputy", f"people.sqlite and the audit log disagree on the deputy ({differs})",
            why="somebody changed people.sqlite outside the recorder, or restored an older one; a person who is not in "
            "both is not the deputy",
            do="find out who did, then run `recorder approvers deputy NAME`; another: `recorder proposals confirm`",
        )  # fmt: skip
    for name, roles in sorted(people_of(home).unexplained().items()):
        yield error(
            f"account {name}", f"no entry of the audit log explains its roles {', '.join(sorted(roles))}",
            why="somebody changed people.sqlite outside the recorder; such roles give no rights",
            do=f"find out who did, then run `recorder users remove-role {name} --role ...`; if the audit log was "
            "started anew, run `recorder users reseal`",
        )  # fmt: skip
    if (problem := SealedSecrets(accounts_of(home)).problem()) is not None:
        why = "the people with an authenticator cannot sign in"
        yield error("authenticators", problem, why=why, do="the sentence above says how")
    people = count_usable(people_of(home))
    if people < MIN_PEOPLE:
        why = "acts that need a second person are impossible, and nobody oversees the one person"
        yield warning("people", "only one account can be used", why=why, do="add a second with `recorder users add`")
    else:
        yield SiteFinding(level=Level.OK, what="people", says=f"{people} accounts")


def _check_keys(home: Home, config: Config) -> Iterator[SiteFinding]:
    try:
        NodeKeys.load(home.root)
        epoch = current_public(home.root / "keys" / "epochs", utc_now())
    except StorageError as problem:
        yield error("keys", str(problem), why="nothing can be sealed, so nothing is recorded", do="restore `keys/`")
    else:
        says = f"recordings are sealed to {epoch.name}"
        if epoch.is_fallback:
            why = "the key holder has made no key for this month"
            yield warning("keys", says, why=why, do="start the console, which makes the keys of coming months")
        else:
            yield SiteFinding(level=Level.OK, what="keys", says=says)
    try:
        yield from check_private_keys(epoch_keys(home, config))
    except StorageError as problem:
        yield error(
            "private keys open", str(problem), why="nobody can listen", do="correct passphrase_file in [storage]"
        )
    if config.storage.private_keys is None and names_in(home.private_keys, ".key"):
        why = "anybody with this machine can listen to every recording"
        do = "store them elsewhere, mounted only while somebody listens: set private_keys in [storage]"
        yield warning("private keys", f"they are stored on this machine, in {home.private_keys}", why=why, do=do)
