"""Signing on at a phone, from a page or by a code that was keyed there: alarm, audit log, then the file."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from recorder import permissions as access
from recorder.calls.acts import ActEntry, submit_entry
from recorder.calls.call_services import CallServices
from recorder.rules.policy import Extension
from recorder.rules.sign_on import SignOn, displaced

CLASH = "sign_on_clash"
"""The alarm: somebody took over a phone at which somebody else was signed on, or which is configured as theirs."""
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
        services: The daemon's parts.
        extension: Where.
        account: Who signs on.
        operator: The same, as calls name them.
        is_proven: Whether they keyed a code at the phone.
        details: For the entry in the audit log.

    Returns:
        Done when it is in the audit log and on disk. OSError: it could not be stored; SignOnClashError: somebody else
        signed on meanwhile. The phone is whose it was then.
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
