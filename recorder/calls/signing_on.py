"""Signs an operator on at a phone, from a page or by a code that was keyed there: alarm, audit log, then the file."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from recorder import permissions as access
from recorder.calls.acts import ActEntry, submit_entry
from recorder.calls.call_services import CallServices
from recorder.rules.policy import Extension
from recorder.rules.sign_on import SignOn, displaced

CLASH = "sign_on_clash"
"""The alarm: an operator took over a phone at which another one is signed on or configured."""
SIGN_ON = access.Act.SIGN_ON.value


def sign_on(
    services: CallServices,
    extension: Extension,
    *,
    account: str,
    operator: str,
    is_proven: bool,
    details: Mapping[str, Any],
) -> "Future[SignOn]":
    """Sign an operator on at a nominated extension.

    Args:
        services: The daemon's services.
        extension: The extension of the phone.
        account: The account that signs on.
        operator: The account's name in calls.
        is_proven: Whether a code was keyed at the phone.
        details: Further details for the audit entry.

    Returns:
        A future, done when the sign-on is in the audit log and on disk. It has an OSError if it could not be stored,
        and a SignOnClashError if somebody else signed on meanwhile; then the sign-on has no effect.
    """
    instead_of = displaced(operator, extension, services.sign_ons.of(extension.number))
    if instead_of is not None:
        services.alarm(CLASH)
        services.publish({"event": "alarm", "alarm": CLASH, "extension": extension.number})
    about = {"operator": operator, "is_proven": is_proven, **details}
    about |= {} if instead_of is None else {"instead_of": instead_of}
    submit_entry(services, ActEntry(act=SIGN_ON, actor=account, subject=extension.number, details=about))
    act = services.sign_ons.sign_on
    return services.act_writer.submit(
        lambda: act(extension.number, operator, is_proven=is_proven, instead_of=instead_of)
    )
