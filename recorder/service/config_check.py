"""Checks of `recorder site-check` on the configuration and the accounts. Pure, except that secrets' files are read."""

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from ipaddress import ip_address, ip_network
from pathlib import Path

from recorder.access.operator_names import misnamed_operators
from recorder.config.settings import Config
from recorder.config.sip_accounts import AccountError, accounts, registrars
from recorder.permissions import Person, Role
from recorder.rules import times
from recorder.rules.signing_in import SecondFactor
from recorder.service.findings import SiteFinding, error, ok, warning
from sip.options import TransportKind
from sip.sdes import Srtp


def check_srtp(config: Config) -> Iterator[SiteFinding]:
    """Check that no SRTP key is sent in SIP that is not encrypted; anybody with the key can decrypt the audio."""
    clear = [
        f"route {route.name!r} (to {target})"
        for route in config.route
        if route.srtp is not Srtp.OFF
        for target in route.targets
        if target.transport is not TransportKind.TLS
    ]
    clear += [
        f"peer {peer.name!r}"
        for peer in config.peer
        if peer.srtp is Srtp.REQUIRED and not (peer.tls_only or peer.requires_certificate)
    ]
    if clear:
        yield warning(
            "SRTP keys", f"{', '.join(clear)}: keys may cross the network in SIP that is not encrypted",
            why="anybody who reads the SIP messages can decrypt the audio: it looks protected and is not",
            do="write targets as tls:HOST:PORT and set tls_only = true for peers, or use a separate network for SIP",
        )  # fmt: skip
        return
    yield ok("SRTP keys", "none is sent in SIP that is not encrypted")


def check_answered_by(config: Config) -> Iterator[SiteFinding]:
    """Check that the file sets ``answered_by`` for each nominated extension."""
    if config.unsaid_answered_by:
        yield warning(
            "who answers", f"{', '.join(config.unsaid_answered_by)}: the file does not say answered_by",
            why="older versions recorded calls to these even if somebody answers who is not nominated (a queue, a ring "
            "group, a pickup); if the PBX names who answers, such calls are no longer recorded",
            do='in each [[extension]] write answered_by = "nominated" where that is right, after nominating the '
            'members of queues and the internal number beside an outside one; or answered_by = "anybody" for a queue '
            "whose members are not nominated and know that it is recorded; docs/operations.md, Who answers",
        )  # fmt: skip
    elif config.extension:
        yield ok("who answers", "answered_by is set for every nominated extension")


def check_metrics(config: Config) -> Iterator[SiteFinding]:
    """Check that Prometheus can scrape the metrics where they are on, and not everybody can."""
    for section, options in (("metrics", config.metrics), ("console_metrics", config.console_metrics)):
        if options.listen is None:
            continue
        networks = [ip_network(one) for one in options.networks]
        if any(network.prefixlen == 0 for network in networks):
            yield warning(
                f"[{section}]", "networks lets everybody scrape",
                why="metrics tell how many calls there are, and a flood of connections can delay Prometheus",
                do="name the address of Prometheus: 192.0.2.50/32",
            )  # fmt: skip
        elif not ip_address(options.listen.host).is_loopback and all(network.is_loopback for network in networks):
            yield warning(
                f"[{section}]", f"listens on {options.listen}, but networks lets only this machine in",
                why="a Prometheus elsewhere gets no answer", do="add its address to networks, or listen on 127.0.0.1",
            )  # fmt: skip
        else:
            yield ok(f"[{section}]", f"served at {options.listen} to {', '.join(options.networks)}")


def check_siprec(config: Config) -> Iterator[SiteFinding]:
    """Check that somebody is responsible for the notice in the sessions of each SIPREC client."""
    clients = [peer for peer in config.peer if peer.siprec]
    unattested = [f"peer {peer.name!r}" for peer in clients if not peer.is_attested]
    if unattested:
        yield warning(
            "SIPREC notice", f"{', '.join(unattested)}: nobody answers for the notice",
            why="sessions are answered, but nothing of them is recorded, and each ends as `blocked`",
            do='set notice = "peer-attested", notice_owner and notice_date, once you know that callers hear it',
        )  # fmt: skip
    elif clients:
        yield ok("SIPREC notice", "an owner is named for every client")


def check_sign_in(config: Config) -> Iterator[SiteFinding]:
    """Check that people sign in with a second factor."""
    if config.console.second_factor is SecondFactor.OFF:
        yield warning(
            "signing in", "a password is enough",
            why="anybody who learns one hears what its owner may", do='set second_factor = "required" in [console]',
        )  # fmt: skip
    else:
        yield ok("signing in", "with an authenticator, for people who approve, listen or administer")


def check_teams(config: Config, people: Iterable[Person]) -> Iterator[SiteFinding]:
    """Check that every manager has a team with an extension."""
    managers = [person for person in people if person.roles & {Role.MANAGER}]
    if not managers:
        return
    known = {extension.team for extension in config.extension} - {""}
    lost = sorted(person.name for person in managers if not known & set(person.teams))
    if lost:
        yield warning(
            "teams", f"{', '.join(lost)}: manager of no team that an extension has",
            why="they find no calls", do="run `recorder users team NAME TEAM`, and set team in [[extension]]",
        )  # fmt: skip
    else:
        yield ok("teams", f"{len(managers)} managers, teams {', '.join(sorted(known))}")


def check_teamless(config: Config) -> Iterator[SiteFinding]:
    """Check that every nominated extension has a team."""
    teamless = [extension.number for extension in config.extension if not extension.team]
    if teamless:
        yield warning(
            "extensions without a team", ", ".join(teamless),
            why="a live call there belongs to every team: every manager may act on it and every officer may pause it; "
            "afterwards no manager finds its recording",
            do="set team in [[extension]], to the service's name if it has one team, then run `recorder reload`",
        )  # fmt: skip
    elif config.extension:
        yield ok("extensions without a team", "none")


def check_operators(config: Config, people: Collection[Person]) -> Iterator[SiteFinding]:
    """Check that ``operator`` in [[extension]] is a name that an account has, not the account itself."""
    operators = [(extension.number, extension.operator) for extension in config.extension]
    for one in misnamed_operators(operators, people):
        yield error(
            "operators", one.sentence,
            why="calls at that phone are filed under a name that no account has: their officer finds none of them",
            do="change operator in [[extension]], then run `recorder reload`; earlier calls keep their name",
        )  # fmt: skip


def check_anchors(config: Config) -> Iterator[SiteFinding]:
    """Check that heads of the audit log are noted on another machine, where this machine cannot change them."""
    options = config.anchors
    if not options.is_any:
        yield warning(
            "anchors", "heads of the audit log are noted nowhere else",
            why="anybody who can write its file can cut off its end or rewrite it, and nobody can tell",
            do="set syslog, folder or mail_to in [anchors]",
        )  # fmt: skip
        return
    if options.folder is not None and not Path(options.folder).is_dir():
        yield warning(
            "anchors", f"{options.folder} does not exist",
            why="no head of the audit log is noted in it", do="mount the share; the recorder never creates it",
        )  # fmt: skip
    told = [name for name in ("syslog", "folder") if getattr(options, name)] + ["mail"] * bool(options.mail_to)
    yield ok("anchors", f"heads of the audit log are noted by {', '.join(told)} every {options.every_s:g} s")


TAKEN_KEYS = frozenset({"*0", "*1", "*2", "*3", "*4"})
"""Keys that Asterisk's sample features.conf and FreeSWITCH's shipped dialplan bind in a call: hang up, record,
transfer.
"""


def check_pause_keys(config: Config) -> Iterator[SiteFinding]:
    """Check that a PBX with its shipped configuration does not take the pause keys before they reach the recorder.

    FreeSWITCH's first binding of a leg takes each ``*`` and the key after it, so no keys are safe there.
    """
    pause = config.pause
    every = (pause.pause_keys, pause.resume_keys, pause.manager_keys, config.sign_on_keys)
    keys = [one for one in every if one is not None]
    taken = sorted(TAKEN_KEYS.intersection(keys))
    if not taken:
        yield ok(
            "keys", f"{', '.join(keys)}: Asterisk as shipped does not bind them; FreeSWITCH takes every * where a leg "
            "has a bind_meta_app (docs/integration/freeswitch.md)"
        )  # fmt: skip
        return
    yield warning(
        "keys", f"{', '.join(taken)}: Asterisk and FreeSWITCH bind these in calls as they are shipped",
        why="if the PBX takes the keys, the call is not paused, and the PBX may start its own unencrypted recording",
        do="Asterisk: change pause_keys, resume_keys and manager_keys in [pause] (new sites have *5 and *6) and tell "
        "the officers, or unbind them. FreeSWITCH: other keys do not help, because it takes the first * and the next "
        "key on any leg with a bind_meta_app, bound or not: remove every bind_meta_app that the recorder's calls pass, "
        "or set bind_meta_key to another key before them; docs/integration",
    )  # fmt: skip


def check_review(config: Config, today: date) -> Iterator[SiteFinding]:
    """Report when the recording policy is next due for review, which is every three years (P24)."""
    what, review_on = "policy review", config.site.policy_review_on
    if review_on is None:
        yield warning(
            what, "policy_reviewed_on is off: the day of the last review is unknown",
            why="the policy is reviewed every three years, and nobody is reminded",
            do='set policy_reviewed_on = "2026-11-25", the day of the last review, in [site]',
        )  # fmt: skip
    elif today >= review_on:
        yield warning(
            what, f"the policy has been due for review since {times.day(review_on)}",
            why="the policy is reviewed every three years",
            do="ask the data protection officer to review it, then set policy_reviewed_on in [site]",
        )  # fmt: skip
    else:
        yield ok(what, f"the next one is on {times.day(review_on)}")


def check_accounts(config: Config) -> Iterator[SiteFinding]:
    """Check that the passwords for peers and registrars can be read."""
    try:
        accounts(config.peer)
        registered = registrars(config.register)
    except AccountError as problem:
        yield error(
            "accounts", str(problem), why="the recorder does not start", do="write the password there, and chmod 0600"
        )
        return
    with_account = sum(peer.auth_user is not None for peer in config.peer)
    if with_account or registered:
        yield ok(
            "accounts", f"{with_account} at peers, {len(registered)} to register; health says whether they are in force"
        )
