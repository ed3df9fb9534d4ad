"""The permission that every route of the console needs, pages and API. Pure.

The console does not start with a route that is missing here, and checks the permission before a route does anything
(`recorder.web.admission`). ``{act=pause}`` is the route ``{act}`` when "pause" is requested. Further conditions, such
as a reason, a second person or an access grant, are checked by the rules of the feature.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from recorder.permissions import Act, Role
from recorder.rules.requirement import Requirement, UnlistedError, kept, known, live, matter, phone, takes, unlocked

STATIC = "GET /static"
"""Static files are below this path."""

_SIGN_IN = "a step of signing in"
_OWN_ACCOUNT = "one's own account"
_TOLD = "what one was told oneself"
_HEARD_BY_ALL = "what every caller hears"
_GRANT = "with leave that was granted"
_GLASS = "with leave that was granted; ICT by break-glass"
_SCOPE = "the data protection officer alone"
_TWO = "not whoever opened it"
_DECIDE = matter(
    Act.DECIDE, others=True, deputy=True, stand_in=Role.DPO,
    note="the DPO or the deputy while every team leader is absent; the DPO a team leader's own; the deputy the DPO's",
)  # fmt: skip
_CONFIRM = matter(
    Act.CONFIRM_GRANT, others=True, stand_in=Role.TEAM_LEADER,
    note="not whoever proposed it, nor whoever it is about; a team leader where there is no other administrator or DPO",
)  # fmt: skip

PAGES: Mapping[str, Requirement] = MappingProxyType(
    {
        STATIC: unlocked("style sheets and scripts"),
        "GET /brand.css": unlocked("the council's colour"),
        "GET /sign-in": unlocked(_SIGN_IN),
        "POST /sign-in": unlocked(_SIGN_IN),
        "GET /sign-in/code": unlocked(_SIGN_IN),
        "POST /sign-in/code": unlocked(_SIGN_IN),
        "GET /sign-in/authenticator": unlocked(_SIGN_IN),
        "POST /sign-in/authenticator": unlocked(_SIGN_IN),
        "POST /sign-in/openid": unlocked(_SIGN_IN),
        "GET /sign-in/openid/callback": unlocked(_SIGN_IN),
        "GET /accessibility": unlocked("the accessibility statement"),
        "POST /sign-out": known(_OWN_ACCOUNT),
        "GET /account": known(_OWN_ACCOUNT),
        "GET /account/password": known(_OWN_ACCOUNT),
        "POST /account/password": known(_OWN_ACCOUNT),
        "POST /account/authenticator": known(_OWN_ACCOUNT),
        "POST /account/connect": known(_OWN_ACCOUNT),
        "POST /account/sign-out-everywhere": known(_OWN_ACCOUNT),
        "GET /": known("leads to one's first page"),
        "GET /notifications": known(_TOLD),
        "POST /notifications/seen": known(_TOLD),
        # Calls in progress
        "GET /live": takes(Act.SEE_LIVE),
        "GET /live/rows": takes(Act.SEE_LIVE),
        "GET /live/requests": takes(Act.SEE_LIVE),
        "GET /live/drain": takes(Act.SEE_LIVE),
        "GET /live/changes": takes(Act.SEE_LIVE),
        "GET /live/{call}/opt-out": live(Act.SEE_LIVE),
        "POST /live/{call}/opt-out": live(Act.OPT_OUT),
        "POST /live/{call}/opt-out-request": live(Act.RAISE_OPT_OUT),
        "POST /live/{call}/second-message": live(Act.SECOND_MESSAGE),
        "POST /live/{call}/forgot": live(Act.RETROACTIVE_PAUSE, "it pauses first: whoever may pause alone gets so far"),
        "POST /live/{call}/{act=pause}": live(Act.PAUSE),
        "POST /live/{call}/{act=resume}": live(Act.RESUME),
        "GET /opt-outs/{request_id}": live(Act.SEE_NUMBERS),
        "POST /opt-outs/{request_id}": live(Act.OPT_OUT),
        "POST /opt-outs/{request_id}/{decision=grant}": live(Act.OPT_OUT),
        "POST /opt-outs/{request_id}/{decision=decline}": live(Act.DECLINE_OPT_OUT),
        "GET /agent": takes(Act.SEE_LIVE),
        "GET /agent/state": takes(Act.SEE_LIVE),
        "GET /agent/last-call": takes(Act.SEE_LIVE, note="one's own last call"),
        "GET /agent/changes": takes(Act.SEE_LIVE),
        "GET /agent/recordings/{recording_id}/forgot": kept(Act.VIEW),
        "POST /agent/recordings/{recording_id}/forgot": kept(Act.RETROACTIVE_PAUSE),
        "POST /agent/forgot": phone(Act.RETROACTIVE_PAUSE),
        "POST /agent/calls/{call}/opt-out-request": live(Act.RAISE_OPT_OUT),
        "POST /agent/calls/{call}/second-message": live(Act.SECOND_MESSAGE),
        "POST /agent/sign-on": takes(Act.SIGN_ON),
        "POST /agent/sign-off": takes(Act.SIGN_ON, note="one's own sign-on"),
        "POST /agent/told": takes(Act.SEE_LIVE, note="one's own acknowledgement"),
        "POST /agent/{act=pause}": phone(Act.PAUSE),
        "POST /agent/{act=resume}": phone(Act.RESUME),
        # Recordings
        "GET /recordings": takes(Act.SEARCH),
        "POST /recordings": takes(Act.SEARCH),
        "POST /recordings/csv": takes(Act.SEARCH),
        "GET /recordings/{recording_id}": kept(Act.VIEW),
        "POST /recordings/{recording_id}/play": kept(Act.PLAY, note=_GLASS),
        "GET /recordings/{recording_id}/audio/{secret}": kept(Act.PLAY, note=_GLASS),
        "GET /recordings/{recording_id}/break-glass": kept(Act.PLAY, note=_GLASS),
        "POST /recordings/{recording_id}/preview": kept(Act.EXPORT, note=_GRANT),
        "POST /recordings/{recording_id}/export": kept(Act.EXPORT, note=_GRANT),
        "GET /recordings/{recording_id}/request": kept(Act.ASK),
        "GET /recordings/{recording_id}/forgot": kept(Act.RETROACTIVE_PAUSE),
        "GET /recordings/{recording_id}/erase": kept(Act.ERASE),
        "GET /recordings/{recording_id}/hold": kept(Act.PLACE_HOLD),
        "GET /recordings/{recording_id}/holds": kept(Act.PLACE_HOLD),
        "POST /recordings/{recording_id}/request": kept(Act.ASK),
        "POST /recordings/{recording_id}/forgot": kept(Act.RETROACTIVE_PAUSE),
        "POST /recordings/{recording_id}/erase": kept(Act.ERASE),
        "POST /recordings/{recording_id}/hold": kept(Act.PLACE_HOLD),
        "POST /recordings/{recording_id}/holds/{hold_id}/{act=release}": kept(Act.RELEASE_HOLD, others=True),
        "POST /recordings/{recording_id}/holds/{hold_id}/{act=reinstate}": kept(Act.PLACE_HOLD),
        "POST /recordings/{recording_id}/holds/{hold_id}/{act=review}": kept(Act.PLACE_HOLD, others=True),
        "GET /erasures": takes(Act.CONFIRM_ERASURE),
        "GET /erasures/{order_id}": kept(Act.CONFIRM_ERASURE),
        "GET /erasures/{order_id}/{decision=confirm}": kept(Act.CONFIRM_ERASURE, others=True),
        "GET /erasures/{order_id}/{decision=decline}": kept(Act.CONFIRM_ERASURE, others=True),
        "POST /erasures/{order_id}/listen": kept(
            Act.CONFIRM_ERASURE, others=True, note="one of the two who approve an order that takes three people"
        ),
        "POST /erasures/{order_id}/{decision=confirm}": kept(Act.CONFIRM_ERASURE, others=True),
        "POST /erasures/{order_id}/{decision=decline}": kept(Act.CONFIRM_ERASURE, others=True),
        "GET /holds": takes(Act.PLACE_HOLD),
        "POST /holds": kept(Act.PLACE_HOLD),
        "GET /holds/new": takes(Act.PLACE_HOLD),
        "GET /holds/{hold_id}": kept(Act.PLACE_HOLD, others=True),
        "GET /holds/{hold_id}/{act=release}": kept(Act.RELEASE_HOLD, others=True),
        "GET /holds/{hold_id}/{act=reinstate}": kept(Act.PLACE_HOLD, others=True),
        "GET /holds/{hold_id}/{act=review}": kept(Act.PLACE_HOLD, others=True),
        "POST /holds/{hold_id}/{act=release}": kept(Act.RELEASE_HOLD, others=True),
        "POST /holds/{hold_id}/{act=reinstate}": kept(Act.PLACE_HOLD),
        "POST /holds/{hold_id}/{act=review}": kept(Act.PLACE_HOLD, others=True),
        "GET /requests": takes(Act.ASK),
        "POST /requests": kept(Act.ASK),
        "GET /requests/new": takes(Act.ASK),
        "GET /requests/{request_id}": matter(
            Act.DECIDE, for_own=(Act.ASK,), deputy=True, note="one's own; all of them for those who decide"
        ),
        "POST /requests/{request_id}/{decision=grant}": _DECIDE,
        "POST /requests/{request_id}/{decision=decline}": _DECIDE,
        "POST /requests/{request_id}/{decision=withdraw}": matter(Act.ASK, own=True),
        "POST /emergencies/{emergency_id}/acknowledge": takes(Act.ACKNOWLEDGE, deputy=True, note="not one's own"),
        "GET /emergencies/{emergency_id}": takes(Act.ACKNOWLEDGE, deputy=True),
        "GET /absence": takes(Act.MARK_ABSENT),
        "POST /team-leaders/{account}/absent": takes(Act.MARK_ABSENT),
        "POST /team-leaders/{account}/back": takes(Act.MARK_ABSENT),
        # Cases, claims
        "GET /cases": takes(Act.WORK_ON_CASES),
        "POST /cases": takes(Act.WORK_ON_CASES),
        "GET /cases/new": takes(Act.WORK_ON_CASES),
        "POST /cases/new": takes(Act.WORK_ON_CASES),
        "GET /cases/add": takes(Act.WORK_ON_CASES),
        "POST /cases/add": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/history": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/custody": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/identity": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/copies": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/handing-over": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/closing": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/note": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/step": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/search": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/search": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/recordings": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/match": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/dismiss": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/dismissal": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/dismiss": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/confirm-scope": takes(Act.SCOPE_CASE, note=_SCOPE),
        "POST /cases/{case_id}/confirm-scope": takes(Act.SCOPE_CASE, note=_SCOPE),
        "GET /cases/{case_id}/narrow": takes(Act.SCOPE_CASE, note=_SCOPE),
        "POST /cases/{case_id}/narrow": takes(Act.SCOPE_CASE, note=_SCOPE),
        "GET /cases/{case_id}/decide": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/decide": matter(Act.WORK_ON_CASES, others=True, note=_TWO),
        "GET /cases/{case_id}/letters": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/letters/{which}": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/letter/{which}": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/letter/{which}/text": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/transcripts": takes(Act.WORK_ON_CASES),
        "GET /cases/{case_id}/transcripts/{one}": takes(Act.WORK_ON_CASES, note="of a recording that they may hear"),
        "GET /cases/{case_id}/transcript": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/transcript": takes(Act.WORK_ON_CASES, note="of a recording that they may hear"),
        "GET /cases/{case_id}/transcript-file": takes(Act.WORK_ON_CASES),
        "POST /cases/{case_id}/transcript-file": takes(Act.WORK_ON_CASES, note="of a recording that they may hear"),
        "GET /rights": takes(Act.WRITE_CLAIM, deputy=True),
        "POST /rights": takes(Act.WRITE_CLAIM),
        "GET /rights/new": takes(Act.WRITE_CLAIM),
        "GET /rights/{claim_id}": takes(Act.WRITE_CLAIM, deputy=True),
        "GET /rights/{claim_id}/{event=uphold}": takes(Act.DECIDE_CLAIM, deputy=True),
        "GET /rights/{claim_id}/{event=decline}": takes(Act.DECIDE_CLAIM, deputy=True),
        "GET /rights/{claim_id}/{event=lift}": takes(Act.DECIDE_CLAIM, deputy=True),
        "GET /rights/{claim_id}/{event=allow_use}": takes(Act.DECIDE_CLAIM, deputy=True),
        "GET /rights/{claim_id}/{event=withdraw}": takes(Act.WRITE_CLAIM),
        "POST /rights/{claim_id}/{event=uphold}": kept(Act.DECIDE_CLAIM, others=True, deputy=True),
        "POST /rights/{claim_id}/{event=decline}": kept(Act.DECIDE_CLAIM, others=True, deputy=True),
        "POST /rights/{claim_id}/{event=lift}": kept(Act.DECIDE_CLAIM, others=True, deputy=True),
        "POST /rights/{claim_id}/{event=allow_use}": kept(Act.DECIDE_CLAIM, others=True, deputy=True),
        "POST /rights/{claim_id}/{event=withdraw}": takes(Act.WRITE_CLAIM),
        "GET /rights/{claim_id}/letters/{which}": takes(Act.WRITE_CLAIM, deputy=True),
        "GET /rights/{claim_id}/letter/{which}": takes(Act.WRITE_CLAIM, deputy=True),
        # The recorder and its people
        "GET /overview": known("what waits for oneself; figures for the data protection officer"),
        "POST /overview": takes(Act.ACKNOWLEDGE),
        "GET /reports/pauses": takes(Act.REPORT),
        "GET /assurance": takes(Act.REPORT),
        "GET /assurance/days/{day}": takes(Act.REPORT),
        "GET /assurance/findings/{finding_id}": kept(Act.REPORT),
        "POST /assurance/findings/{finding_id}/explain": kept(Act.EXPLAIN),
        "GET /people": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "GET /people/{account}": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "GET /people/{account}/roles": takes(Act.MANAGE_PEOPLE),
        "POST /people/{account}/roles": takes(Act.MANAGE_PEOPLE),
        "GET /people/{account}/reset-authenticator": takes(Act.MANAGE_PEOPLE),
        "POST /people/{account}/reset-authenticator": takes(Act.MANAGE_PEOPLE),
        "GET /people/proposals/{proposal}": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "POST /people/proposals/{proposal}/{decision=confirm}": _CONFIRM,
        "POST /people/proposals/{proposal}/{decision=decline}": _CONFIRM,
        "GET /deputy": takes(Act.CONFIRM_GRANT, Act.MANAGE_PEOPLE),
        "GET /audit": takes(Act.VIEW_AUDIT),
        "POST /audit": takes(Act.VIEW_AUDIT),
        "GET /health": takes(Act.SEE_SYSTEM),
        "POST /health/acknowledge": takes(Act.SEE_SYSTEM),
        "GET /notices": known(_HEARD_BY_ALL),
        "GET /notices/{message}/{version}": known(_HEARD_BY_ALL),
        "GET /notices/{message}/{version}/audio": known(_HEARD_BY_ALL),
        "GET /notices/{message}/{version}/use": takes(Act.SET_NOTICE),
        "POST /notices/{message}/{version}/use": takes(Act.SET_NOTICE),
        "POST /notices/{message}/{version}/withdraw": takes(Act.SET_NOTICE),
        "GET /changes": takes(Act.SEE_SYSTEM),
    }
)
"""Pages and their forms, for sessions."""

API: Mapping[str, Requirement] = MappingProxyType(
    {
        "GET /api/openapi.json": known("what the API can do"),
        "GET /api/session": known("one's own session"),
        "POST /api/session": known("one's own session"),
        "GET /api/health": takes(Act.SEE_SYSTEM, Act.SEE_LIVE),
        "GET /api/calls": takes(Act.SEE_LIVE),
        "GET /api/events": takes(Act.SEE_LIVE),
        "POST /api/calls/{call}/pause": live(Act.PAUSE),
        "POST /api/calls/{call}/resume": live(Act.RESUME),
        "POST /api/calls/{call}/forgot": live(Act.RETROACTIVE_PAUSE),
        "POST /api/calls/{call}/second-message": live(Act.SECOND_MESSAGE),
        "POST /api/calls/{call}/opt-out-request": live(Act.RAISE_OPT_OUT),
        "POST /api/calls/{call}/opt-out": live(Act.OPT_OUT),
        "POST /api/extensions/{number}/pause": live(Act.PAUSE),
        "POST /api/extensions/{number}/resume": live(Act.RESUME),
        "POST /api/extensions/{number}/forgot": live(Act.RETROACTIVE_PAUSE),
        "POST /api/extensions/{number}/second-message": live(Act.SECOND_MESSAGE),
        "GET /api/opt-outs": takes(Act.SEE_LIVE, personal=True),
        "POST /api/opt-outs/{request_id}/grant": live(Act.OPT_OUT),
        "POST /api/opt-outs/{request_id}/decline": live(Act.DECLINE_OPT_OUT),
        "GET /api/recordings": takes(Act.SEARCH),
        "POST /api/recordings/search": takes(Act.SEARCH),
        "GET /api/recordings/{recording_id}": kept(Act.VIEW),
        "POST /api/recordings/{recording_id}/export": kept(Act.EXPORT, note=_GRANT),
        "POST /api/recordings/{recording_id}/forgot": kept(Act.RETROACTIVE_PAUSE),
        "POST /api/recordings/{recording_id}/erase": kept(Act.ERASE),
        "GET /api/recordings/{recording_id}/holds": kept(Act.PLACE_HOLD),
        "POST /api/recordings/{recording_id}/holds": kept(Act.PLACE_HOLD),
        "GET /api/erasures": takes(Act.CONFIRM_ERASURE),
        "POST /api/erasures/{order_id}/confirm": kept(Act.CONFIRM_ERASURE, others=True),
        "POST /api/erasures/{order_id}/decline": kept(Act.CONFIRM_ERASURE, others=True),
        "GET /api/holds": takes(Act.PLACE_HOLD),
        "POST /api/holds/{hold_id}/release": kept(Act.RELEASE_HOLD, others=True),
        "POST /api/holds/{hold_id}/reinstate": kept(Act.PLACE_HOLD),
        "POST /api/holds/{hold_id}/review": kept(Act.PLACE_HOLD, others=True),
        "GET /api/requests": takes(Act.ASK),
        "POST /api/requests": kept(Act.ASK),
        "POST /api/requests/{request_id}/grant": _DECIDE,
        "POST /api/requests/{request_id}/decline": _DECIDE,
        "POST /api/requests/{request_id}/withdraw": matter(Act.ASK, own=True),
        "GET /api/cases": takes(Act.WORK_ON_CASES),
        "POST /api/cases": takes(Act.WORK_ON_CASES),
        "GET /api/cases/{case_id}": takes(Act.WORK_ON_CASES),
        "POST /api/cases/{case_id}/search": takes(Act.WORK_ON_CASES),
        "POST /api/cases/{case_id}/match": takes(Act.WORK_ON_CASES),
        "POST /api/cases/{case_id}/dismiss": takes(Act.WORK_ON_CASES),
        "POST /api/cases/{case_id}/narrow": takes(Act.SCOPE_CASE, note=_SCOPE),
        "POST /api/cases/{case_id}/confirm-scope": takes(Act.SCOPE_CASE, note=_SCOPE),
        "GET /api/reports/pauses": takes(Act.REPORT),
        "GET /api/assurance/days": takes(Act.REPORT),
        "GET /api/assurance/days/{day}": takes(Act.REPORT),
    }
)
"""The API, for sessions, and for tokens with the scope of the act."""

ROUTES: Mapping[str, Requirement] = MappingProxyType({**PAGES, **API})
"""All routes of the console."""


def by_pattern(table: Mapping[str, Requirement]) -> dict[str, dict[str, Requirement]]:
    """Return a table by method and path pattern; the inner key is the word in the path, or "" if there is none."""
    found: dict[str, dict[str, Requirement]] = {}
    for name, needed in table.items():
        before, is_word, rest = name.partition("=")
        word, _, after = rest.partition("}")
        pattern = f"{before}}}{after}" if is_word else name
        found.setdefault(pattern, {})[word] = needed
    return found


_PATTERNS = by_pattern(ROUTES)


def requirement_of(pattern: str, values: Mapping[str, str]) -> Requirement | None:
    """Return the permission that a request needs.

    Args:
        pattern: Method and path pattern of its route.
        values: Path parameters by name, in order.

    Returns:
        None if the route does not know the word in the path; it answers 404.

    Raises:
        UnlistedError: The route is not in the table.
    """
    words = _PATTERNS.get(pattern)
    if words is None:
        raise UnlistedError(f"{pattern} is not listed in recorder/web/route_access.py")
    if "" in words:
        return words[""]
    *_, word = ("", *values.values())
    return words.get(word)  # the word is the last path parameter


def check_routes(routes: Iterable[str]) -> None:
    """Check that every route of the console is in the table.

    Args:
        routes: Method and path pattern of each.

    Raises:
        UnlistedError: One is missing.
    """
    for pattern in routes:
        requirement_of(pattern, {})
