"""The kinds of notifications, and how each reads. Pure.

A notification says that something is so and where to look: never who called, from which number, or why. So it can go
by mail.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from recorder.notifications.mail_retries import MAIL_TRIED_FOR


class NotificationKind(enum.StrEnum):
    """What there is to be told."""

    REQUEST_WAITS = "request_waits"
    REQUEST_DECIDED = "request_decided"
    OPT_OUT_WAITS = "opt_out_waits"
    OPT_OUT_DECIDED = "opt_out_decided"
    EMERGENCY = "emergency"
    GRANT_WAITS = "grant_waits"
    AUTHENTICATOR_GONE = "authenticator_gone"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of notification, not a secret
    PASSWORD_SET = "password_set"  # noqa: S105 - likewise
    CLAIM_WAITS = "claim_waits"
    CLAIM_OVERDUE = "claim_overdue"
    CASE_PRESSING = "case_pressing"
    CASE_DUE = "case_due"
    CASE_OVERDUE = "case_overdue"
    HOLD_DUE = "hold_due"
    HOLD_RELEASED = "hold_released"
    POLICY_REVIEW = "policy_review"
    MAIL_STUCK = "mail_stuck"
    ACCOUNTS_CHANGED = "accounts_changed"
    WEEK = "week"
    SCOPE_WAITS = "scope_waits"
    TAKEN_OVER = "taken_over"
    HEARD_MANY = "heard_many"
    ROLE_USED_AT_ONCE = "role_used_at_once"
    NOTICE_CHANGED = "notice_changed"
    DEPUTY_BY_ONE = "deputy_by_one"
    POLICY_UNDATED = "policy_undated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a kind of notification reads.

    Attributes:
        subject: Of the mail, and on the page.
        sentence: What is so.
        path: Where to look in the console.
        mail_for: How long its mail is worth sending; None is not at all.
    """

    subject: str
    sentence: str
    path: str
    mail_for: timedelta | None = MAIL_TRIED_FOR


WORDING: Mapping[NotificationKind, Wording] = MappingProxyType(
    {
        NotificationKind.REQUEST_WAITS: Wording(
            subject="A request waits for your decision",
            sentence="Somebody asks to hear recordings, and you are who decides.",
            path="/requests",
        ),
        NotificationKind.REQUEST_DECIDED: Wording(
            subject="Your request was decided",
            sentence="A request of yours to hear recordings was decided, or you were given leave in a case.",
            path="/requests",
        ),
        NotificationKind.OPT_OUT_WAITS: Wording(
            subject="A caller asks not to be recorded",
            sentence="An officer asks that the recording of a call that goes on be stopped, and you can decide it.",
            path="/live",
            mail_for=timedelta(minutes=30),
        ),
        NotificationKind.OPT_OUT_DECIDED: Wording(
            subject="Your request to stop recording was decided",
            sentence="What you asked for during a call was granted or declined.",
            path="/live",
            mail_for=timedelta(minutes=30),
        ),
        NotificationKind.EMERGENCY: Wording(
            subject="A recording was heard without approval",
            sentence="ICT listened to a recording in an emergency (break-glass). Please take note of it.",
            path="/requests",
        ),
        NotificationKind.GRANT_WAITS: Wording(
            subject="A change to an account waits for a second person",
            sentence="Somebody proposes a powerful role, a new password, another authenticator or a token; "
            "you may confirm it.",
            path="/people",
        ),
        NotificationKind.AUTHENTICATOR_GONE: Wording(
            subject="Your authenticator was taken away",
            sentence="An administrator took it away. If you did not ask for that, tell the data protection officer.",
            path="/account",
        ),
        NotificationKind.PASSWORD_CHANGED: Wording(
            subject="Your password was changed",
            sentence="It was changed with your old one. If it was not you, tell an administrator at once.",
            path="/account",
        ),
        NotificationKind.PASSWORD_SET: Wording(
            subject="You were given a new password",
            sentence="An administrator set it. If you did not ask for that, tell the data protection officer.",
            path="/account",
        ),
        NotificationKind.CLAIM_WAITS: Wording(
            subject="A data subject asks for a decision of yours",
            sentence="Somebody asks that a recording be restricted or erased, or objects; it has to be decided.",
            path="/rights",
        ),
        NotificationKind.CLAIM_OVERDUE: Wording(
            subject="A data subject was not answered in time",
            sentence="A restriction, an objection or an erasure that was asked for was not decided within a month.",
            path="/rights",
        ),
        NotificationKind.CASE_PRESSING: Wording(
            subject="Time runs out for a case",
            sentence="A subject access request is 28 days old, or as near to its end.",
            path="/cases",
        ),
        NotificationKind.CASE_DUE: Wording(
            subject="A case is due today",
            sentence="A subject access request has to be answered today.",
            path="/cases",
        ),
        NotificationKind.CASE_OVERDUE: Wording(
            subject="A case is overdue",
            sentence="A subject access request has not been answered in time.",
            path="/cases",
        ),
        NotificationKind.HOLD_DUE: Wording(
            subject="A hold is due for review",
            sentence="Say whether the recording has to be kept any longer, or release the hold.",
            path="/holds",
        ),
        NotificationKind.HOLD_RELEASED: Wording(
            subject="A hold of yours was released by somebody else",
            sentence="The recording is kept for 14 days from the release: take it back if it is still needed.",
            path="/holds",
        ),
        NotificationKind.POLICY_REVIEW: Wording(
            subject="The recording policy is due for review",
            sentence="The policy on call recording is reviewed every three years; its day is near, or has passed.",
            path="/notifications",
        ),
        NotificationKind.ACCOUNTS_CHANGED: Wording(
            subject="The file of accounts was changed past the recorder",
            sentence="A role, the data protection officer's deputy, or a recording heard without approval, is not "
            "as the audit log has it. What no entry explains gives no right; look who has which role.",
            path="/people",
        ),
        NotificationKind.MAIL_STUCK: Wording(
            subject="Mails do not leave the recorder",
            sentence="Notifications have not left by mail for a day: `recorder mail status` says why.",
            path="/notifications",
            mail_for=None,
        ),
        NotificationKind.SCOPE_WAITS: Wording(
            subject="A case holds many recordings until you decide",
            sentence="More is held for a case than a narrow search finds, for 14 days: confirm it, or narrow it.",
            path="/cases",
        ),
        NotificationKind.WEEK: Wording(
            subject="The week of the call recorder",
            sentence="The figures of the last seven days:",
            path="/notifications",
        ),
        NotificationKind.TAKEN_OVER: Wording(
            subject="A phone was taken over",
            sentence="Somebody signed on at a phone that was another officer's. If you did not expect that, tell your "
            "manager.",
            path="/agent",
        ),
        NotificationKind.HEARD_MANY: Wording(
            subject="Somebody heard very many recordings in a day",
            sentence="An account heard or copied 40 recordings or more in a day. Each was allowed; the audit log has "
            "which, and why.",
            path="/audit",
        ),
        NotificationKind.ROLE_USED_AT_ONCE: Wording(
            subject="A role was used as soon as it was granted",
            sentence="An account did what its new role allows within an hour of getting it. The audit log has who "
            "granted it and what was done.",
            path="/audit",
        ),
        NotificationKind.NOTICE_CHANGED: Wording(
            subject="A message that callers hear was changed",
            sentence="Somebody made another sound file a message to callers. Who has not heard the right one was not "
            "told: listen to it before the configuration is read again.",
            path="/notices",
        ),
        NotificationKind.DEPUTY_BY_ONE: Wording(
            subject="One person named the data protection officer's deputy",
            sentence="The deputy decides on the data protection officer's requests, so two others name them. Whoever "
            "was named before goes on: propose them once more (recorder requests deputy NAME), or somebody else.",
            path="/people",
        ),
        NotificationKind.POLICY_UNDATED: Wording(
            subject="Nobody is reminded of the policy's review",
            sentence="The policy on call recording is reviewed every three years, and the recorder does not know when "
            "it last was: ICT puts that day into policy_reviewed_on in [site].",
            path="/overview",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Something that an account is to be told, once.

    Attributes:
        kind: What.
        account: Whom.
        subject: The id of what it is about: never a recording's, which holds an extension.
        moment: What makes it another one if it comes again: a due day, a week.
        text: Figures, for the weekly one.
    """

    kind: NotificationKind
    account: str
    subject: str = ""
    moment: str = ""
    text: str = ""

    @property
    def key(self) -> str:
        """Return what is told once to an account."""
        return f"{self.kind}/{self.subject}/{self.moment}"
