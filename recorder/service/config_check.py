"""What `recorder site-check` finds in a configuration, and in the accounts beside it. Pure but for secrets' files."""

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from pathlib import Path

from recorder.access.operator_names import misnamed_operators
from recorder.config.settings import Config
from recorder.config.sip_accounts import AccountError, accounts, registrars
from recorder.permissions import Person, Role
from recorder.rules.signing_in import SecondFactor
from recorder.service.findings import SiteFinding, error, ok, warning
from sip.options import TransportKind
from sip.sdes import Srtp


def check_srtp(config: Config) -> Iterator[SiteFinding]:
    """Look whether keys for SRTP go over signalling that others can read: whoever has the key has the audio."""
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
            why="whoever reads the SIP messages can decrypt the audio: it looks protected and is not",
            do="targets as tls:HOST:PORT, tls_only = true for peers; or keep SIP to a network of its own",
        )  # fmt: skip
        return
    yield ok("SRTP keys", "none has to cross the network in SIP that is not encrypted")


def check_answered_by(config: Config) -> Iterator[SiteFinding]:
    """Look whether the file says of each nominated extension who may answer calls to it."""
    if config.unsaid_answered_by:
        yield warning(
            "who answers", f"{', '.join(config.unsaid_answered_by)}: the file does not say answered_by",
            why="older versions recorded a call to these that somebody answers who is not nominated (a queue, a ring "
            "group, a pickup); where the PBX names who answers, it is no longer recorded",
            do='in each [[extension]] write answered_by = "nominated" where that is right, having nominated the '
            'members of queues and the internal number beside an outside one; or answered_by = "anybody" for a queue '
            "whose members are not nominated and know that it is recorded; docs/operations.md, Who answers",
        )  # fmt: skip
    elif config.extension:
        yield ok("who answers", "the file says of every nominated extension who may answer for it")


def check_siprec(config: Config) -> Iterator[SiteFinding]:
    """Look whether somebody answers for the notice in the sessions of each SIPREC client, where there is any."""
    clients = [peer for peer in config.peer if peer.siprec]
    unattested = [f"peer {peer.name!r}" for peer in clients if not peer.is_attested]
    if unattested:
        yield warning(
            "SIPREC notice", f"{', '.join(unattested)}: nobody answers for the notice",
            why="sessions are taken and answered, nothing of them is kept, and each ends as `blocked`",
            do='notice = "peer-attested" with notice_owner and notice_date, once it is known that callers hear it',
        )  # fmt: skip
    elif clients:
        yield ok("SIPREC notice", "somebody answers for it in the sessions of every client")


def check_sign_in(config: Config) -> Iterator[SiteFinding]:
    """Look whether people sign in with more than a password."""
    if config.console.second_factor is SecondFactor.OFF:
        yield warning(
            "signing in", "a password is enough",
            why="whoever learns one hears what its owner may", do='second_factor = "required" in [console]',
        )  # fmt: skip
    else:
        yield ok("signing in", "with an authenticator, for whoever approves, listens or administers")


def check_teams(config: Config, people: Iterable[Person]) -> Iterator[SiteFinding]:
    """Look whether there are managers who answer for no team, or calls that are no manager's."""
    managers = [person for person in people if person.roles & {Role.MANAGER}]
    if not managers:
        return
    known = {extension.team for extension in config.extension} - {""}
    lost = sorted(person.name for person in managers if not known & set(person.teams))
    if lost:
        yield warning(
            "teams", f"{', '.join(lost)}: manager of no team that an extension has",
            why="they find no call", do="`recorder users team NAME TEAM`, and team in [[extension]]",
        )  # fmt: skip
    else:
        yield ok("teams", f"{len(managers)} managers, teams {', '.join(sorted(known))}")


def check_teamless(config: Config) -> Iterator[SiteFinding]:
    """Look whether every nominated extension has a team."""
    teamless = [extension.number for extension in config.extension if not extension.team]
    if teamless:
        yield warning(
            "extensions without a team", ", ".join(teamless),
            why="a call at one is of everybody's team while it goes on: every manager may act on it, every officer may "
            "pause it; and afterwards no manager finds its recording",
            do="team in [[extension]], the service's name where it has one team, and `recorder reload`",
        )  # fmt: skip
    elif config.extension:
        yield ok("extensions without a team", "none")


def check_operators(config: Config, people: Collection[Person]) -> Iterator[SiteFinding]:
    """Look whether an extension names an account in the place of the name that its calls are found by."""
    operators = [(extension.number, extension.operator) for extension in config.extension]
    for one in misnamed_operators(operators, people):
        yield error(
            "operators", one.sentence,
            why="the calls of that phone are filed under a name that is nobody's: their officer finds none of them",
            do="change operator in [[extension]], then `recorder reload`; calls of before keep the name they have",
        )  # fmt: skip


def check_anchors(config: Config) -> Iterator[SiteFinding]:
    """Look whether heads of the audit log are noted where whoever has this machine cannot change them."""
    options = config.anchors
    if not options.is_any:
        yield warning(
            "anchors", "heads of the audit log are noted nowhere else",
            why="whoever can write to its file can cut off its end, or write it anew, and nobody can tell",
            do="syslog, folder or mail_to in [anchors]",
        )  # fmt: skip
        return
    if options.folder is not None and not Path(options.folder).is_dir():
        yield warning(
            "anchors", f"{options.folder} is not there",
            why="no head of the audit log is noted in it", do="mount the share; the recorder does not make the folder",
        )  # fmt: skip
    told = [name for name in ("syslog", "folder") if getattr(options, name)] + ["mail"] * bool(options.mail_to)
    yield ok("anchors", f"heads of the audit log are noted by {', '.join(told)} every {options.every_s:g} s")


TAKEN_KEYS = frozenset({"*0", "*1", "*2", "*3", "*4"})
"""What Asterisk's sample features.conf and FreeSWITCH's shipped dialplan bind in a call: hang up, record, transfer."""


def check_pause_keys(config: Config) -> Iterator[SiteFinding]:
    """Look whether a PBX as it is shipped would take the keys before they come here.

    FreeSWITCH's first binding of a leg takes each ``*`` and the key after it, so that no keys are safe there.
    """
    pause = config.pause
    every = (pause.pause_keys, pause.resume_keys, pause.manager_keys, config.sign_on_keys)
    keys = [one for one in every if one is not None]
    taken = sorted(TAKEN_KEYS.intersection(keys))
    if not taken:
        yield ok(
            "keys", f"{', '.join(keys)}: Asterisk as shipped leaves them alone; FreeSWITCH takes every * where a leg "
            "has a bind_meta_app (docs/integration/freeswitch.md)"
        )  # fmt: skip
        return
    yield warning(
        "keys", f"{', '.join(taken)}: Asterisk and FreeSWITCH bind these in calls as they are shipped",
        why="where the PBX takes them the pause never comes, and it may begin a plain recording of its own",
        do="Asterisk: pause_keys, resume_keys and manager_keys in [pause] (new sites have *5 and *6), and tell the "
        "officers, or unbind them. FreeSWITCH: other keys do not help, for it takes the first * and the next key on "
        "any leg with a bind_meta_app, bound or not: remove every bind_meta_app that the recorder's calls pass, or "
        "set bind_meta_key to another key before them; docs/integration",
    )  # fmt: skip


def check_review(config: Config, today: date) -> Iterator[SiteFinding]:
    """Say when the policy on recording is reviewed next, which it is every three years (P24)."""
    what, review_on = "policy review", config.site.policy_review_on
    if review_on is None:
        yield warning(
            what, "policy_reviewed_on is off: nobody has said when the policy was last reviewed",
            why="it is reviewed every three years, and nobody is reminded of it",
            do='set policy_reviewed_on = "2026-11-25", the day of the last review, in [site]',
        )  # fmt: skip
    elif today >= review_on:
        yield warning(
            what, f"the policy is due for review since {review_on:%d/%m/%Y}",
            why="it is reviewed every three years",
            do="have the data protection officer see to it, then set policy_reviewed_on in [site]",
        )  # fmt: skip
    else:
        yield ok(what, f"the next one is on {review_on:%d/%m/%Y}")


def check_accounts(config: Config) -> Iterator[SiteFinding]:
    """Look whether the passwords for peers and registrars can be read."""
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
