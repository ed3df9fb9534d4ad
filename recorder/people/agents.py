"""Who sits at which extension: operators sign on to a phone, and off."""

import json
from pathlib import Path

from recorder.domain.policy import Extension
from storage.durable import save_atomically


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

    def sign_on(self, extension: str, operator: str) -> None:
        """Sign an operator on; whoever was there before is signed off."""
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
