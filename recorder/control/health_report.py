"""The state of the daemon's services and the alarms that stand now, for the health report and the metrics."""

from dataclasses import dataclass
from typing import Any

from recorder.calls.call_services import CallServices


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the services report.

    Attributes:
        alarms: Alarms by name: how often since the start, or a number over 0 while a state lasts.
        retention: State of the sweep.
        mail: State of the queue of mails.
        transports: State of the SIP transports.
        forwarding: State of what is sent to other systems.
        objects: State of storing recordings in the object store.
        backup: State of the backups.
        verification: When recordings and audit log were verified last.
        selftest: Result of the last self-test.
        failing_names: Names of targets that could not be resolved at the last attempt.
    """

    alarms: dict[str, int]
    retention: dict[str, Any]
    mail: dict[str, Any]
    transports: dict[str, Any]
    forwarding: dict[str, Any]
    objects: dict[str, Any]
    backup: dict[str, Any]
    verification: dict[str, Any]
    selftest: dict[str, Any]
    failing_names: list[str]


def standing(services: CallServices) -> Standing:
    """Ask the services. May wait for a disk, so never on the call thread."""
    retention, mail, transports = services.retention(), services.mail(), services.transports()
    forwarding, objects, backup = services.forwarding(), services.objects(), services.backup()
    verification, selftest = services.verification(), services.selftest()
    failing = services.failing_names()
    alarms = {
        **services.alarms.copy(), **retention.pop("alarms"), **transports.pop("alarms"), **mail.pop("alarms"),
        **forwarding.pop("alarms"), **objects.pop("alarms"), **backup.pop("alarms"),
        **verification.pop("alarms"), **selftest.pop("alarms"),
    }  # fmt: skip
    if failing:
        alarms["names_not_resolved"] = len(failing)
    return Standing(
        alarms=alarms, retention=retention, mail=mail, transports=transports, forwarding=forwarding,
        objects=objects, backup=backup, verification=verification, selftest=selftest, failing_names=failing,
    )  # fmt: skip
