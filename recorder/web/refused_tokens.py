"""Logs invalid tokens in the audit log: one by one while they are few, then as a count. For any thread.

A client that sends ten thousand invented tokens must not cause ten thousand entries; their number is logged.
"""

import threading
from collections import Counter
from collections.abc import Callable

from recorder.access.tokens import TokenRefused
from recorder.audit.audit_service import AuditService
from recorder.common.network_sources import source_of

WINDOW_S = 60.0
EACH, MOST = 5, 50
"""Entries per minute: for one address, and in all."""
_NAMED = 20
"""Number of addresses and tokens named in the entry with the count."""
_KEPT = 1000
"""Number of addresses and tokens counted separately; the rest is counted together."""
_OTHERS = "others"


class RefusedTokens:
    """Logs refused tokens.

    Args:
        audit_service: Writes the audit log.
        clock: Monotonic clock, seconds.
    """

    def __init__(self, audit_service: AuditService, clock: Callable[[], float]) -> None:
        self._audit_service = audit_service
        self._clock = clock
        self._lock = threading.Lock()
        self._begin(clock())

    def _begin(self, now_s: float) -> None:
        self._began_s = now_s
        self._written: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()

    def enter(self, refused: TokenRefused, host: str) -> None:
        """Log a refusal, or count it for the entry that follows within about a minute."""
        self.look()
        source, who = source_of(host), f"token:{refused.name}" if refused.name else "unknown"
        with self._lock:
            is_one_by_one = self._written[source] < EACH and self._written.total() < MOST
            if is_one_by_one:
                self._written[source] += 1
            else:
                self._left_out[_kept(self._left_out, source)] += 1
                self._tokens[_kept(self._tokens, who)] += 1
        if is_one_by_one:
            self._audit_service.note_late(
                "access.refused", who, refused.name, {"act": "token.use", "source": host}, text=refused.why
            )

    def look(self, *, is_last: bool = False) -> None:
        """Log the count of the last minute, once it is over. Call it for every request, and at the end."""
        now_s = self._clock()
        if not is_last and now_s - self._began_s < WINDOW_S:
            return
        with self._lock:
            if not is_last and now_s - self._began_s < WINDOW_S:  # another thread was faster
                return
            seconds, sources, tokens = round(now_s - self._began_s), self._left_out, self._tokens
            self._begin(now_s)
        if sources:
            details = {
                "act": "token.use",
                "times": sources.total(),
                "seconds": seconds,
                "sources": dict(sources.most_common(_NAMED)),
                "tokens": dict(tokens.most_common(_NAMED)),
            }
            told = f"Tokens that are not valid were refused {sources.total()} more times in {seconds} s."
            self._audit_service.note_late("access.refused", "unknown", "", details, text=told)


def _kept(counter: Counter[str], key: str) -> str:
    return key if key in counter or len(counter) < _KEPT else _OTHERS
