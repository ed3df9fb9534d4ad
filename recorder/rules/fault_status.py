"""The HTTP status for each fault of a denied act. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from recorder.permissions import Fault

FAULT_STATUS: Mapping[Fault, int] = MappingProxyType(
    {Fault.NOT_ALLOWED: 403, Fault.INCOMPLETE: 422, Fault.TOO_LATE: 409}
)
