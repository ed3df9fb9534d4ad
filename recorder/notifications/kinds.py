"""The kinds of notifications, and their texts. Pure.

A notification says what happened and where to look. It never says who called, from which number, or why, so that it
can be sent by mail.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from recorder.notifications.mail_retries import MAIL_TRIED_FOR


class NotificationKind(enum.StrEnum):
    """Kind of a notification; stored."""

    REQUEST_WAITS = "request_waits"
    REQUEST_DECIDED = "request_decided"
    OPT_OUT_WAITS = "opt_out_waits"
    OPT_OUT_DECIDED = "opt_out_decided"
    EMERGENCY = "emergency"
    GRANT_WAITS = "grant_waits"
    AUTHENTICATOR_GONE = "authenticator_gone"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of notification, not a secret
    PASSWORD_SET = "password_set"  # noqa: S105 - likewise
    MAIL_PROPOSED = "mail_proposed"
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
    AUTHENTICATORS_LOST = "authenticators_lost"
    DEPUTY_BY_ONE = "deputy_by_one"
    POLICY_UNDATED = "policy_undated"
    ASSURANCE_WAITS = "assurance_waits"
    ASSURANCE_RISEN = "assurance_risen"
    ERASED_ALONE = "erased_alone"


TASKS_OF_CHANGES = frozenset(
    {
        NotificationKind.REQUEST_WAITS, NotificationKind.OPT_OUT_WAITS, NotificationKind.EMERGENCY,
        NotificationKind.GRANT_WAITS, NotificationKind.CLAIM_WAITS, NotificationKind.CLAIM_OVERDUE,
        NotificationKind.SCOPE_WAITS, NotificationKind.ACCOUNTS_CHANGED,
    }
)  # fmt: skip
"""Kinds that ask for something; such a notification is over when that is done, by whomever, or cannot be done."""
TASKS_OF_DATES = frozenset(
    {
        NotificationKind.CASE_PRESSING, NotificationKind.CASE_DUE, NotificationKind.CASE_OVERDUE,
        NotificationKind.HOLD_DUE, NotificationKind.HOLD_RELEASED, NotificationKind.DEPUTY_BY_ONE,
        NotificationKind.POLICY_REVIEW, NotificationKind.POLICY_UNDATED, NotificationKind.ASSURANCE_WAITS,
        NotificationKind.ASSURANCE_RISEN,
    }
)  # fmt: skip
"""The same for kinds that the calendar brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Texts of a kind of notification.

    Attributes:
        subject: Subject of the mail, and heading on the page.
        sentence: What happened, and what to do.
        path: Page of the console to look at.
        mail_for: How long to try to send the mail; None sends no mail.
    """

    subject: str
    sentence: str
    path: str
    mail_for: timedelta | None = MAIL_TRIED_FOR


WORDING: Mapping[NotificationKind, Wording] = MappingProxyType(
    {
        NotificationKind.REQUEST_WAITS: Wording(
            subject="A request to listen waits for your decision",
            sentence="Someone asked to listen to recordings. Decide whether they may.",
            path="/requests",
        ),
        NotificationKind.REQUEST_DECIDED: Wording(
            subject="Your request was decided",
            sentence="Your request to listen to recordings was decided, or a case gave you permission to listen.",
            path="/requests",
        ),
        NotificationKind.OPT_OUT_WAITS: Wording(
            subject="A caller asks not to be recorded",
            sentence="An officer asked to end the recording of a call in progress. You can decide.",
            path="/live",
            mail_for=timedelta(minutes=30),
        ),
        NotificationKind.OPT_OUT_DECIDED: Wording(
            subject="Your request to end a recording was decided",
            sentence="Your request to end the recording of a call was granted or declined.",
            path="/live",
            mail_for=timedelta(minutes=30),
        ),
        NotificationKind.EMERGENCY: Wording(
            subject="Someone listened to a recording without approval",
            sentence="ICT listened to a recording in an emergency (break-glass). Confirm that you know about it.",
            path="/requests",
        ),
        NotificationKind.GRANT_WAITS: Wording(
            subject="A change to an account waits for a second person",
            sentence="Someone proposed a powerful role, a new password, the removal of an authenticator, another "
            "email address, or a token. You can confirm it.",
            path="/people",
        ),
        NotificationKind.AUTHENTICATOR_GONE: Wording(
            subject="Your authenticator was removed",
            sentence="An administrator removed it. If you did not ask for this, tell the data protection officer.",
            path="/account",
        ),
        NotificationKind.PASSWORD_CHANGED: Wording(
            subject="Your password was changed",
            sentence="Someone changed it with your old password. If this was not you, tell an administrator at once.",
            path="/account",
        ),
        NotificationKind.PASSWORD_SET: Wording(
            subject="You were given a new password",
            sentence="An administrator set it. If you did not ask for this, tell the data protection officer.",
            path="/account",
        ),
        NotificationKind.MAIL_PROPOSED: Wording(
            subject="Someone wants your emails sent elsewhere",
            sentence="An administrator proposed another address for the recorder's emails to you, or none. This one "
            "still goes to the address you had. If you did not ask for this, tell the data protection officer.",
            path="/account",
        ),
        NotificationKind.CLAIM_WAITS: Wording(
            subject="A data subject's request waits for your decision",
            sentence="Someone asked to restrict or erase a recording, or objected to its use. Decide whether "
            "to uphold the request.",
            path="/rights",
        ),
        NotificationKind.CLAIM_OVERDUE: Wording(
            subject="A data subject's request is overdue",
            sentence="A request to restrict or erase a recording, or an objection to its use, was not decided "
            "within a month.",
            path="/rights",
        ),
        NotificationKind.CASE_PRESSING: Wording(
            subject="A case is due soon",
            sentence="There are only a few days left to answer a subject access request.",
            path="/cases",
        ),
        NotificationKind.CASE_DUE: Wording(
            subject="A case is due today",
            sentence="A subject access request must be answered today.",
            path="/cases",
        ),
        NotificationKind.CASE_OVERDUE: Wording(
            subject="A case is overdue",
            sentence="A subject access request was not answered in time.",
            path="/cases",
        ),
        NotificationKind.HOLD_DUE: Wording(
            subject="A legal hold is due for review",
            sentence="Decide whether the recording must still be kept. If not, release the hold.",
            path="/holds",
        ),
        NotificationKind.HOLD_RELEASED: Wording(
            subject="Someone else released your legal hold",
            sentence="The recording is kept for 14 more days. If you still need it, reinstate the hold.",
            path="/holds",
        ),
        NotificationKind.POLICY_REVIEW: Wording(
            subject="The recording policy is due for review",
            sentence="The policy on call recording must be reviewed every 3 years. The next review is due "
            "soon, or is overdue.",
            path="/notifications",
        ),
        NotificationKind.ACCOUNTS_CHANGED: Wording(
            subject="Accounts were changed outside the recorder",
            sentence="A role, the data protection officer's deputy, or emergency access to a recording does "
            "not match the audit log. A change without an entry in the audit log gives nobody any "
            "rights. Check who has which role.",
            path="/people",
        ),
        NotificationKind.MAIL_STUCK: Wording(
            subject="The recorder cannot send emails",
            sentence="Emails have waited for a day. Run `recorder mail show` to see why.",
            path="/notifications",
            mail_for=None,
        ),
        NotificationKind.SCOPE_WAITS: Wording(
            subject="A case holds many recordings until you decide",
            sentence="The case holds all recordings that fit a wide search, for 14 days. Confirm the search or "
            "narrow it.",
            path="/cases",
        ),
        NotificationKind.WEEK: Wording(
            subject="Figures of last week",
            sentence="These are the figures of the last 7 days:",
            path="/notifications",
        ),
        NotificationKind.TAKEN_OVER: Wording(
            subject="A phone was taken over",
            sentence="Someone signed on at a phone where another officer was signed on. If you did not expect "
            "this, tell your manager.",
            path="/agent",
        ),
        NotificationKind.HEARD_MANY: Wording(
            subject="Someone listened to very many recordings in a day",
            sentence="An account listened to or copied 40 recordings or more in a day. Each time was allowed. "
            "The audit log says which recordings, and why.",
            path="/audit",
        ),
        NotificationKind.ROLE_USED_AT_ONCE: Wording(
            subject="A role was used as soon as it was granted",
            sentence="An account used a new role within an hour of getting it. The audit log says who granted "
            "the role and what was done.",
            path="/audit",
        ),
        NotificationKind.NOTICE_CHANGED: Wording(
            subject="A message to callers was changed",
            sentence="Someone replaced the sound file of a message to callers. If it is the wrong file, "
            "callers are not told that they are recorded. Listen to it before anyone reloads the "
            "configuration.",
            path="/notices",
        ),
        NotificationKind.AUTHENTICATORS_LOST: Wording(
            subject="Authenticators were removed because their key was lost",
            sentence="Someone removed them on the server. The people concerned set up a new one at their next "
            "sign-in, with their password alone. Ask each of them whether they did. The audit log "
            "names them.",
            path="/audit",
        ),
        NotificationKind.DEPUTY_BY_ONE: Wording(
            subject="One person named the data protection officer's deputy",
            sentence="The deputy decides the data protection officer's own requests, so two other people must "
            "name them. The present deputy stays. Propose them again with `recorder approvers deputy "
            "NAME`, or propose someone else.",
            path="/people",
        ),
        NotificationKind.POLICY_UNDATED: Wording(
            subject="The day of the last policy review is not set",
            sentence="The policy on call recording must be reviewed every 3 years. The recorder cannot remind "
            "you. Ask ICT to set policy_reviewed_on in [site] to the day of the last review.",
            path="/overview",
        ),
        NotificationKind.ASSURANCE_WAITS: Wording(
            subject="Calls were not recorded as they should have been",
            sentence="Calls of your teams were not recorded, or not as they should have been. Look at each, and say "
            "what happened:",
            path="/assurance",
        ),
        NotificationKind.ERASED_ALONE: Wording(
            subject="An officer erased part of a call without a second person",
            sentence="An officer of your team said that they forgot to pause, and had part of a call erased. The "
            "list says how much, and of which call. If you did not expect this, ask them.",
            path="/erasures",
        ),
        NotificationKind.ASSURANCE_RISEN: Wording(
            subject="More calls than before are not recorded as they should be",
            sentence="The share of calls that were not recorded, or not as they should have been, has risen "
            "against the 4 weeks before:",
            path="/assurance",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message to one account; each is stored once.

    Attributes:
        kind: Kind of the notification.
        account: Account that it is for.
        subject: Id of the request, case or hold that it is about; never a recording's id, which holds an extension.
        moment: Distinguishes repeated notifications about one subject: a due day, a week.
        text: The figures of a weekly notification.
    """

    kind: NotificationKind
    account: str
    subject: str = ""
    moment: str = ""
    text: str = ""

    @property
    def key(self) -> str:
        """Identify the notification among those of its account."""
        return f"{self.kind}/{self.subject}/{self.moment}"
