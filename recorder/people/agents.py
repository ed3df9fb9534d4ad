"""Who sits at which extension: operators sign on to a phone, and off."""

import json
from pathlib import Path

from recorder.domain.policy import Extension
from storage.durable import save_atomically


class SignOnClashError(Exception):
    """Somebody else is signed on there; ``operator`` says who. Nothing changed."""

    def __init__(self, operator: str) -> None:
        super().__init__(f"{operator} is signed on there")
        self.operator = operator


class SignOns:
    """Sign-ons by extension, kept in a file so that they survive a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._operators: dict[str, str] = json.loads(path.read_text())
        except (OSError, ValueError):
            self._operators = {}

    def operator_of(self, extension: Extension) -> str:
        """Return who is signed on at an extension, else the operator that it is configured for."""
        return self._operators.get(extension.number, extension.operator)

    def all(self) -> dict[str, str]:
        """Return operators by extension."""
        return dict(self._operators)

    def other_than(self, operator: str, extension: str) -> str | None:
        """Return who else is signed on at an extension, or None."""
        there = self._operators.get(extension)
        return None if there == operator else there

    def sign_on(self, extension: str, operator: str, *, takes_over: bool = True) -> None:
        """Sign an operator on; whoever was there before is signed off.

        Args:
            extension: Where.
            operator: Whom.
            takes_over: Whether somebody else may be there.

        Raises:
            SignOnClashError: Somebody else is, and may not.
        """
        there = self.other_than(operator, extension)
        if there is not None and not takes_over:
            raise SignOnClashError(there)
        self._save({**self._operators, extension: operator})

    def sign_off(self, extension: str) -> bool:
        """Sign off whoever is there; tell whether anybody was."""
        if extension not in self._operators:
            return False
        self._save({key: value for key, value in self._operators.items() if key != extension})
        return True

    def _save(self, operators: dict[str, str]) -> None:
        save_atomically(self._path, json.dumps(operators, indent=1).encode())
        self._operators = operators
