"""Creates notifications and sends their mails, with retries. Runs on its own thread; never blocks a request."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

from recorder.common.smtp import MailError, send_mail
from recorder.common.smtp_options import SmtpServer
from recorder.common.turns import Turn
from recorder.config.mail_options import MailOptions
from recorder.notifications.box import Box, Kept, Queue
from recorder.notifications.kinds import WORDING, Notification, NotificationKind
from recorder.notifications.mail_health import note_queue
from recorder.notifications.mail_retries import STUCK_AFTER, retry_after
from recorder.notifications.mails import mail_of
from recorder.notifications.watch import WatchRepositories, notify_of_changes, notify_of_dates
from recorder.permissions import Role
from storage.errors import LeaseLostError, StorageError

_log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
EVERY_S = 10.0
"""Interval between two polls for notifications about stored changes."""
SLOWLY_EVERY = timedelta(minutes=5)
"""Interval between two polls for notifications that are due by the calendar."""
KEPT_FOR = timedelta(days=90)
"""How long notifications are kept."""

Send = Callable[[SmtpServer, EmailMessage, list[str]], None]


def _send(server: SmtpServer, message: EmailMessage, to: list[str]) -> None:
    send_mail(server, message, to, timeout_s=TIMEOUT_S)


@dataclass(slots=True, kw_only=True)
class Postman:
    """Creates notifications and sends their mails.

    Attributes:
        repos: Stored state that notifications are derived from.
        options: How mails are sent.
        site: Name of the council.
        state: The home's state folder, to which the state of the queue is written.
        send: Sends a mail; raises MailError.
        turn: Keeps several consoles of a site apart; None if there is one.
    """

    repos: WatchRepositories
    options: MailOptions
    site: str
    state: Path
    send: Send = _send
    turn: Turn | None = None
    _next_slow: datetime | None = field(default=None, init=False)
    _is_stuck: bool = field(default=False, init=False)
    _noted: Queue | None = field(default=None, init=False)

    def keep(self, stopping: threading.Event, *, every_s: float = EVERY_S) -> None:
        """Send notifications until ``stopping`` is set; log failures and retry after ``every_s`` seconds."""
        while not stopping.wait(every_s):
            try:
                self.run_in_turn(stopping)
            except LeaseLostError as error:
                _log.warning("%s", error)
            except (StorageError, OSError) as error:
                _log.error("sending notifications failed, retrying in %g s: %s", every_s, error)
            except Exception:  # noqa: BLE001 - a bug here must not end the notifications of a console that lives for months
                _log.exception("sending notifications failed, retrying in %g s", every_s)
        if self.turn is not None:
            self.turn.close()

    def run_in_turn(self, stopping: threading.Event | None = None) -> None:
        """Do what `run_once` does, unless another console does it; the queue is noted for health in any case.

        Raises:
            LeaseLostError: Another console has taken over meanwhile; it sends the rest.
            StorageError, OSError: A database does not answer.
        """
        if self.turn is None:
            self.run_once(stopping)
            return
        with self.turn.mine() as lease:
            if lease is not None:
                self.run_once(stopping)
            else:
                self._note()

    def run_once(self, stopping: threading.Event | None = None) -> None:
        """Create the notifications that are new, and send the mails that are due."""
        notify_of_changes(self.repos)
        now = self.repos.now
        if self._next_slow is None or now >= self._next_slow:
            self._next_slow = now + SLOWLY_EVERY
            notify_of_dates(self.repos)
            self.repos.box.forget(before=now - KEPT_FOR)
        try:
            self.send_due(stopping)
        finally:
            self._note()

    def _note(self) -> None:
        """Write the state of the queue for the daemon's health report, if it changed."""
        queue = self.repos.box.queue()
        if queue != self._noted:
            note_queue(self.state, queue)
            self._noted = queue

    def send_due(self, stopping: threading.Event | None = None) -> int:
        """Send the mails that are due; return how many were sent. After a failure of the server the others wait."""
        server, box, sent = self.options.server, self.repos.box, 0
        if server is None:
            return 0
        addresses = self.repos.addresses.all()
        for one in box.to_send():
            if stopping is not None and stopping.is_set():
                break
            address = addresses.get(one.notification.account)
            worth = WORDING[one.notification.kind].mail_for
            if address is None or worth is None or self.repos.now - one.made_at > worth:
                box.give_up(
                    one, "the account no longer has an address" if address is None else one.problem or "too late"
                )
                continue
            if self.turn is not None:
                self.turn.check()
            try:
                self.send(server, self._mail(one, address), [address])
            except MailError as error:
                self._failed(box, one, error)
                if not error.is_refused:
                    break
            else:
                box.sent(one)
                sent += 1
        self._look_for_stuck(box)
        return sent

    def _mail(self, one: Kept, address: str) -> EmailMessage:
        assert self.options.sender is not None, "the section was checked"
        return mail_of(
            one.notification, address, sender=self.options.sender, site=self.site,
            console_url=self.options.console_url, now=self.repos.now,
        )  # fmt: skip

    def _failed(self, box: Box, one: Kept, error: MailError) -> None:
        _log.warning("notification mail not sent: %s", _without_address(error))
        if error.is_refused:
            box.give_up(one, str(error))
        else:
            box.postpone(one, str(error), wait=retry_after(one.tries + 1))

    def _look_for_stuck(self, box: Box) -> None:
        """Log an error, once, when mails have waited for a day, and notify ICT in the console."""
        queue, now = box.queue(), self.repos.now
        was_stuck, self._is_stuck = self._is_stuck, queue.oldest_at is not None and now - queue.oldest_at >= STUCK_AFTER
        if not self._is_stuck or queue.oldest_at is None:
            return
        if not was_stuck:
            _log.error("%d mails not sent since %s", queue.waiting, queue.oldest_at.isoformat(timespec="minutes"))
        moment = queue.oldest_at.date().isoformat()
        told = [
            Notification(kind=NotificationKind.MAIL_STUCK, account=one, moment=moment)
            for role in (Role.ICT, Role.ADMIN)
            for one in sorted(self.repos.approvers.with_role(role))
        ]
        box.tell(told, by_mail=frozenset())


def _without_address(error: MailError) -> str:
    """Return the text of an error without mail addresses, which must not be logged."""
    words = str(error)
    return words.partition(":")[0] + ": the address was refused" if error.is_refused else words
