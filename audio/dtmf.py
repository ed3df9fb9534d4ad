"""Digits: control sequences, and digits in SIP INFO.

Pure; times are passed in. Nothing here logs, and no message of an error holds a digit: what a caller keys may be a
card number.
"""

import enum
from dataclasses import dataclass, field

KEYS = "0123456789*#ABCD"
"""Key of each event code (RFC 4733 section 3.2)."""

HOLD_NS = 1_500_000_000
"""How long a ``*`` waits for the key that would make it a control sequence."""

SECRET_WAIT_NS = 10_000_000_000
"""How long an entry behind a secret prefix waits for its next key."""

SECRET_KEYS = 12
"""Keys of such an entry at most, without the ``#`` that ends it."""

_MAX_INFO_BYTES = 256


class InfoDigitError(ValueError):
    """A SIP INFO body that announces a digit but holds none; the message never quotes the body."""


class ControlState(enum.Enum):
    """Where a HOLD_STAR leg is in a control sequence."""

    IDLE = enum.auto()
    STAR_HELD = enum.auto()
    SECRET = enum.auto()
    """An entry behind a secret prefix."""
    SECRET_STAR = enum.auto()
    """A ``*`` in such an entry, which may begin a control sequence."""


class ControlInput(enum.Enum):
    """What can happen to it."""

    STAR = enum.auto()
    CONTROL_KEY = enum.auto()
    """A key that makes a control sequence with ``*``."""
    SECRET_KEY = enum.auto()
    """A key that makes a secret prefix with ``*``."""
    HASH = enum.auto()
    OTHER_KEY = enum.auto()
    TIMEOUT = enum.auto()


class ControlAction(enum.Enum):
    """What becomes of the keys."""

    HOLD = enum.auto()
    """Keep the ``*`` back."""
    PASS = enum.auto()
    """Forward the key."""
    SWALLOW = enum.auto()
    """Forward neither; report the sequence."""
    REPLAY = enum.auto()
    """Forward the held ``*`` with its duration."""
    REPLAY_AND_PASS = enum.auto()
    """Forward the held ``*``, then the key."""
    REPLAY_AND_HOLD = enum.auto()
    """Forward the held ``*`` and keep the new one back."""
    SECRET = enum.auto()
    """Forward neither it nor what is held; it begins or goes on with an entry."""
    SECRET_ENDED = enum.auto()
    """Forward nothing; the entry waits to be taken."""
    SECRET_BROKEN = enum.auto()
    """Forward nothing; the entry is over without ``#``, and waits to be taken. What broke it off follows."""
    NOTHING = enum.auto()


CONTROL_TABLE: dict[tuple[ControlState, ControlInput], tuple[ControlState, ControlAction]] = {
    (ControlState.IDLE, ControlInput.STAR): (ControlState.STAR_HELD, ControlAction.HOLD),
    (ControlState.IDLE, ControlInput.CONTROL_KEY): (ControlState.IDLE, ControlAction.PASS),
    (ControlState.IDLE, ControlInput.SECRET_KEY): (ControlState.IDLE, ControlAction.PASS),
    (ControlState.IDLE, ControlInput.HASH): (ControlState.IDLE, ControlAction.PASS),
    (ControlState.IDLE, ControlInput.OTHER_KEY): (ControlState.IDLE, ControlAction.PASS),
    (ControlState.IDLE, ControlInput.TIMEOUT): (ControlState.IDLE, ControlAction.NOTHING),
    (ControlState.STAR_HELD, ControlInput.STAR): (ControlState.STAR_HELD, ControlAction.REPLAY_AND_HOLD),
    (ControlState.STAR_HELD, ControlInput.CONTROL_KEY): (ControlState.IDLE, ControlAction.SWALLOW),
    (ControlState.STAR_HELD, ControlInput.SECRET_KEY): (ControlState.SECRET, ControlAction.SECRET),
    (ControlState.STAR_HELD, ControlInput.HASH): (ControlState.IDLE, ControlAction.REPLAY_AND_PASS),
    (ControlState.STAR_HELD, ControlInput.OTHER_KEY): (ControlState.IDLE, ControlAction.REPLAY_AND_PASS),
    (ControlState.STAR_HELD, ControlInput.TIMEOUT): (ControlState.IDLE, ControlAction.REPLAY),
    (ControlState.SECRET, ControlInput.STAR): (ControlState.SECRET_STAR, ControlAction.SECRET),
    (ControlState.SECRET, ControlInput.CONTROL_KEY): (ControlState.SECRET, ControlAction.SECRET),
    (ControlState.SECRET, ControlInput.SECRET_KEY): (ControlState.SECRET, ControlAction.SECRET),
    (ControlState.SECRET, ControlInput.HASH): (ControlState.IDLE, ControlAction.SECRET_ENDED),
    (ControlState.SECRET, ControlInput.OTHER_KEY): (ControlState.SECRET, ControlAction.SECRET),
    (ControlState.SECRET, ControlInput.TIMEOUT): (ControlState.IDLE, ControlAction.SECRET_BROKEN),
    (ControlState.SECRET_STAR, ControlInput.STAR): (ControlState.SECRET_STAR, ControlAction.SECRET),
    (ControlState.SECRET_STAR, ControlInput.CONTROL_KEY): (ControlState.IDLE, ControlAction.SECRET_BROKEN),
    (ControlState.SECRET_STAR, ControlInput.SECRET_KEY): (ControlState.SECRET, ControlAction.SECRET_BROKEN),
    (ControlState.SECRET_STAR, ControlInput.HASH): (ControlState.SECRET, ControlAction.SECRET),
    (ControlState.SECRET_STAR, ControlInput.OTHER_KEY): (ControlState.SECRET, ControlAction.SECRET),
    (ControlState.SECRET_STAR, ControlInput.TIMEOUT): (ControlState.IDLE, ControlAction.SECRET_BROKEN),
}
"""Every pair is decided; a sequence that is itself ``**`` counts its second key as CONTROL_KEY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKeyed:
    """An entry behind a secret prefix; ``digits`` is empty unless it is complete, and never shown by repr."""

    prefix: str
    digits: str = field(repr=False)
    is_complete: bool


_BROKEN_BY = {ControlInput.CONTROL_KEY: ControlAction.SWALLOW, ControlInput.SECRET_KEY: ControlAction.SECRET}
"""What follows SECRET_BROKEN when a sequence of its own has broken the entry off."""
_SECOND = frozenset({ControlState.STAR_HELD, ControlState.SECRET_STAR})
_SECRETS = frozenset({ControlState.SECRET, ControlState.SECRET_STAR})


class ControlMatcher:
    """Finds control sequences such as ``*1``, and secret entries, among the keys of a HOLD_STAR leg.

    Args:
        sequences: The control set; each is ``*`` and one key.
        secrets: Prefixes of entries that are withheld up to ``#``, of the same form; none of ``sequences``.

    Raises:
        ValueError: A sequence has another form, or is in both sets.
    """

    def __init__(self, sequences: frozenset[str], secrets: frozenset[str] = frozenset()) -> None:
        for sequence in sequences | secrets:
            if len(sequence) != 2 or sequence[0] != "*" or sequence[1] not in KEYS:
                raise ValueError("a control sequence is * and one key")
        if sequences & secrets:
            raise ValueError("a sequence either controls or begins a secret entry")
        self._second_keys = frozenset(sequence[1] for sequence in sequences)
        self._secret_keys = frozenset(sequence[1] for sequence in secrets)
        self._state = ControlState.IDLE
        self._held_ns = 0
        self._prefix = ""
        self._entry: list[str] | None = None
        self._taken: SecretKeyed | None = None

    @property
    def state(self) -> ControlState:
        """Return whether a ``*`` is held, or an entry under way."""
        return self._state

    @property
    def is_secret(self) -> bool:
        """Return whether an entry is under way."""
        return self._state in _SECRETS

    def press(self, key: str, now_ns: int) -> tuple[ControlAction, ...]:
        """Take a key that ended at ``now_ns`` (monotonic); what is overdue is dealt with first."""
        overdue = self.wait(now_ns)
        before, what = self._state, self._input_of(key)
        action = self._step(what, now_ns)
        if before in _SECRETS:
            self._follow_entry(key, what, action)
        if before in _SECOND and what is ControlInput.SECRET_KEY:
            self._prefix, self._entry = "*" + key, []
        if action is ControlAction.SECRET_BROKEN:
            return (*overdue, action, _BROKEN_BY[what])
        return (*overdue, action)

    def wait(self, now_ns: int) -> tuple[ControlAction, ...]:
        """Let time pass: REPLAY when a ``*`` has waited 1.5 s, SECRET_BROKEN when an entry has 10 s, else nothing."""
        limit = SECRET_WAIT_NS if self.is_secret else HOLD_NS
        if self._state is ControlState.IDLE or now_ns - self._held_ns < limit:
            return ()
        action = self._step(ControlInput.TIMEOUT, now_ns)
        if action is ControlAction.SECRET_BROKEN:
            self._end_entry(is_complete=False)
        return (action,)

    def take_secret(self) -> SecretKeyed | None:
        """Return the entry that has ended, once; this object keeps nothing of it."""
        taken, self._taken = self._taken, None
        return taken

    def _follow_entry(self, key: str, what: ControlInput, action: ControlAction) -> None:
        if action is not ControlAction.SECRET:
            self._end_entry(is_complete=action is ControlAction.SECRET_ENDED)
        elif what is ControlInput.STAR:
            self._entry = None
        elif self._entry is not None:
            self._entry = [*self._entry, key] if len(self._entry) < SECRET_KEYS else None

    def _end_entry(self, *, is_complete: bool) -> None:
        is_whole = is_complete and self._entry is not None
        digits = "".join(self._entry or ()) if is_whole else ""
        self._taken = SecretKeyed(prefix=self._prefix, digits=digits, is_complete=is_whole)
        self._prefix, self._entry = "", None

    def _input_of(self, key: str) -> ControlInput:
        if self._state in _SECOND and key in self._second_keys:
            return ControlInput.CONTROL_KEY
        if self._state in _SECOND and key in self._secret_keys:
            return ControlInput.SECRET_KEY
        if key == "*":
            return ControlInput.STAR
        if key == "#":
            return ControlInput.HASH
        if key in self._second_keys:
            return ControlInput.CONTROL_KEY
        return ControlInput.SECRET_KEY if key in self._secret_keys else ControlInput.OTHER_KEY

    def _step(self, what: ControlInput, now_ns: int) -> ControlAction:
        self._state, action = CONTROL_TABLE[self._state, what]
        if self._state is not ControlState.IDLE:
            self._held_ns = now_ns
        return action


NORTEL_DIGITS = "application/vnd.nortelnetworks.digits"
_INFO_FIELDS = {"application/dtmf-relay": "signal", NORTEL_DIGITS: "d", "application/dtmf": ""}
"""The types of INFO bodies that say a key, and the field of their lines that says it; "" is the body alone."""
_INFO_CODES = {str(code): key for code, key in enumerate(KEYS)}


def parse_info_digit(content_type: str, content: bytes) -> str | None:
    """Return the key in the body of a SIP INFO, or None if its type is not one of digits.

    ``application/dtmf-relay`` has lines ``Signal=5`` and ``Duration=160``, `NORTEL_DIGITS` lines ``y=Digits`` and
    ``d=5``; ``application/dtmf`` has the key alone. Keys also come as event codes (``10`` is ``*``).

    Raises:
        InfoDigitError: The type says digit, the body holds no key. The message does not quote the body.
    """
    kind = info_type(content_type)
    if (field := _INFO_FIELDS.get(kind)) is None:
        return None
    if len(content) > _MAX_INFO_BYTES:
        raise InfoDigitError(f"a digit's body has at most {_MAX_INFO_BYTES} bytes, got {len(content)}")
    text = content.decode("ascii", "replace")
    value = _value_of(field, text) if field else text
    key = value.strip().upper()
    if len(key) == 1 and key in KEYS:
        return key
    if key in _INFO_CODES:
        return _INFO_CODES[key]
    raise InfoDigitError(f"a body of type {kind} holds no key")


def info_body(content_type: str, key: str) -> bytes:
    """Return the body of an INFO that says a key, in one of the types that `parse_info_digit` reads."""
    kind = info_type(content_type)
    if kind == NORTEL_DIGITS:
        return f"p=Digit-Collection\r\ny=Digits\r\nd={key}\r\n".encode("ascii")
    return f"Signal={key}\r\nDuration=160\r\n".encode("ascii") if _INFO_FIELDS[kind] else key.encode("ascii")


def info_type(content_type: str) -> str:
    """Return the type of a body without parameters, in lower case."""
    return content_type.split(";", 1)[0].strip().lower()


def _value_of(field: str, text: str) -> str:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip().lower() == field:
            return value
    return ""
