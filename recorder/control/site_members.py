"""The daemons of a site: asks several at a time, and remembers which of them do not answer."""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from recorder.common.clock import utc_now
from recorder.control.client import LiveClient
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.control.links import SocketLink
from recorder.control.node_directory import NodeDirectory
from recorder.control.node_link import NodeLink
from storage.nodes import NodeRow

_log = logging.getLogger(__name__)

Link = NodeLink | SocketLink
AT_ONCE = 16
"""Requests to one node at a time; a node that does not answer holds up only its own."""
GONE = timedelta(minutes=15)
"""A node that neither the console nor the database has heard of for so long is taken to have no calls."""
DEADLINE_S = 1.9
"""How long several nodes are waited for, seconds: somewhat longer than a link waits for one."""

_NOBODY = "No node of this site is known: see `recorder nodes list`."

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswers(Generic[T]):
    """The answers of several nodes to one question.

    Attributes:
        given: By node.
        refused: Errors that nodes answered with.
        silent: Nodes that did not answer, or could not confirm in time, with the reason; they may have calls.
        gone: Nodes that did not answer and have no calls (`is_gone`).
    """

    given: dict[str, T] = field(default_factory=dict)
    refused: dict[str, DaemonRefusedError] = field(default_factory=dict)
    silent: dict[str, Exception] = field(default_factory=dict)
    gone: dict[str, Exception] = field(default_factory=dict)

    def any_error(self) -> Exception:
        """Return an error of the nodes, of which none gave an answer."""
        errors = [*self.refused.values(), *self.silent.values(), *self.gone.values()]
        return errors[0] if errors else DaemonUnavailableError(_NOBODY)


class SiteMember:
    """One node of the site.

    Args:
        name: Its name.
        link: The way to it.

    Attributes:
        silent_since: Since when it has not answered; None if it last did.
        nobody_listens: Whether its machine last said that no daemon listens.
    """

    def __init__(self, name: str, link: Link) -> None:
        self.name = name
        self.link = link
        self._client = LiveClient(link)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"node-{name}")
        self._warming: Future[None] | None = None
        self.silent_since: datetime | None = None
        self.nobody_listens = False

    def ask(self, question: Callable[[LiveClient], T]) -> T:
        """Return its answer, and note whether it answers.

        Raises:
            DaemonUnavailableError, DaemonRefusedError: As a client.
        """
        try:
            answer = question(self._client)
        except DaemonUnavailableError as error:
            self.nobody_listens = error.nobody_listens
            self._note(is_answering=False)
            raise
        except DaemonRefusedError:
            self._note(is_answering=True)
            raise
        except Exception as error:  # what one node says, or its address, must not end an act at the others
            if self.silent_since is None:
                _log.exception("Node %s: its answer makes no sense, or its address is none", self.name)
            self._note(is_answering=False)
            raise DaemonUnavailableError(f"Node {self.name} answered without sense: see its log.") from error
        self._note(is_answering=True)
        return answer

    def submit(self, question: Callable[[LiveClient], T]) -> "Future[T]":
        """Ask on a thread."""
        return self._threads.submit(self.ask, question)

    def submit_warm(self) -> None:
        """Keep a connection to another machine open, on a thread; one at a time."""
        if isinstance(self.link, NodeLink) and (self._warming is None or self._warming.done()):
            link = self.link
            self._warming = self.submit(lambda _: link.warm())

    def close(self) -> None:
        """Close its connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _note(self, *, is_answering: bool) -> None:
        if is_answering:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = utc_now()


class SiteMembers:
    """The nodes of a site. Safe from any thread.

    Args:
        directory: The nodes as the database lists them.
        local: Name of this machine's node and the link to its socket; None if it is no node.
        connect: Makes the link to another node, from its name and address.
    """

    def __init__(
        self, directory: NodeDirectory, local: tuple[str, Link] | None, connect: Callable[[str, str], Link]
    ) -> None:
        self.directory = directory
        self._connect = connect
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._local = None if local is None else SiteMember(*local)
        self._remote: dict[tuple[str, str], SiteMember] = {}

    def all(self) -> list[SiteMember]:
        """Return the nodes by name, this machine's first."""
        wanted = [(node.name, node.address) for node in self.directory.running()]
        if self._local is not None:
            wanted = [one for one in wanted if one[0] != self._local.name]
        with self._lock:
            for key in self._remote.keys() - set(wanted):
                self._remote.pop(key).close()
            for key in wanted:
                if key not in self._remote:
                    self._remote[key] = SiteMember(key[0], self._connect(*key))
            remote = [self._remote[key] for key in wanted]
        local = self._local
        if local is None or (remote and self.directory.is_stopped(local.name)):
            return remote
        return [local, *remote]

    def first(self) -> SiteMember:
        """Return this machine's node, or another; raises DaemonUnavailableError if none is known."""
        members = self.all()
        if not members:
            raise DaemonUnavailableError(_NOBODY)
        return members[0]

    def get(self, name: str) -> SiteMember | None:
        """Return the node of a name, or None."""
        return next((member for member in self.all() if member.name == name), None)

    def each(
        self, question: Callable[[LiveClient], T], *, without: Collection[str] = (), hopeful: bool = True
    ) -> NodeAnswers[T]:
        """Ask all nodes at once.

        Args:
            question: What to ask.
            without: Names of nodes that are not asked.
            hopeful: False does not ask those that did not answer last time; for lists, which nobody should wait for.
        """
        asked: dict[str, Future[T]] = {}
        answers: NodeAnswers[T] = NodeAnswers()
        for member in self.all():
            if member.name in without:
                continue
            if not hopeful and member.silent_since is not None:
                answers.silent[member.name] = DaemonUnavailableError(f"Node {member.name} does not answer.")
                continue
            asked[member.name] = member.submit(question)
        wait(asked.values(), timeout=DEADLINE_S)
        for name, future in asked.items():
            _sort(name, future, answers)
        for name in answers.silent.keys() & self.gone():
            answers.gone[name] = answers.silent.pop(name)
        return answers

    def gone(self) -> set[str]:
        """Return the nodes that do not answer and are taken to have no calls."""
        known = self.directory.known()
        rows = {node.name: node for node in known.nodes}
        return {one.name for one in self.all() if is_gone(one, rows.get(one.name), known.now_us)}

    def silent(self) -> dict[str, datetime]:
        """Return the nodes that do not answer, and since when."""
        return {one.name: one.silent_since for one in self.all() if one.silent_since is not None}

    def keep(self, stopping: threading.Event, every_s: float = 2.0) -> None:
        """Renew the list of nodes, and keep connections open, until told to stop."""
        while not stopping.is_set():
            # The database may take seconds to fail; nodes must be kept warm meanwhile.
            threading.Thread(target=self._refresh_once, name="nodes-read", daemon=True).start()
            for member in self.all():
                member.submit_warm()
            stopping.wait(every_s)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            members = [*self._remote.values(), *([] if self._local is None else [self._local])]
            self._remote.clear()
        for member in members:
            member.close()

    def _refresh_once(self) -> None:
        if self._refreshing.acquire(blocking=False):
            try:
                self.directory.refresh()
            finally:
                self._refreshing.release()


def _sort(name: str, future: "Future[T]", answers: NodeAnswers[T]) -> None:
    if not future.done():
        future.cancel()
        answers.silent[name] = DaemonUnavailableError(f"Node {name} did not answer in time.")
        return
    try:
        answers.given[name] = future.result()
    except DaemonRefusedError as error:
        if error.status == 504:
            answers.silent[name] = error
        else:
            answers.refused[name] = error
    except DaemonUnavailableError as error:
        answers.silent[name] = error


def is_gone(member: SiteMember, row: NodeRow | None, now_us: int) -> bool:
    """Tell whether a node is taken to have no calls: its daemon is dead, or nobody has heard of it for `GONE`.

    A node that the console does not reach, but that renews its row, may have calls. So may one that does neither: it
    can be cut off from console and database and still get calls. A dead daemon is known by two signs: its machine says
    that nobody listens there, and it does not renew its row. `recorder nodes remove` is for machines that are lost.
    """
    if member.silent_since is None or (row is not None and not row.is_away(now_us)):
        return False
    return member.nobody_listens or utc_now() - member.silent_since > GONE


def merged(answers: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of several nodes as one list, each with its node."""
    return [{**row, "node": node} for node, rows in answers.items() for row in rows]
