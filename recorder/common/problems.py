"""Errors of acts as problem documents (RFC 9457); commands and HTTP interfaces show the same sentence.

`recorder.common.problem_answers` makes HTTP responses of them, so that commands need no web framework.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class ProblemError(Exception):
    """An error for the user; raise it anywhere below a route.

    Args:
        status: HTTP status, in [400, 599].
        detail: One sentence for a person: what is wrong and what to do next.
        title: Short and the same for every occurrence; by default the status in words.
        headers: Extra headers, such as WWW-Authenticate or Retry-After.
        extra: Extension members of the document (RFC 9457 section 3.2).
        fields: The sentence for each field of the input that is wrong, by the field's name.
        lacks_role: Whether a role that an administrator can give would allow it; pages say whom to ask.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
        fields: Mapping[str, str] | None = None,
        lacks_role: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.headers = headers or {}
        self.extra = extra or {}
        self.fields = fields or {}
        self.lacks_role = lacks_role

    def document(self) -> dict[str, Any]:
        """Return the JSON members (RFC 9457 section 3.1); ``type`` is about:blank, so it is left out."""
        fields = {"fields": dict(self.fields)} if self.fields else {}
        return {**self.extra, **fields, "title": self.title, "status": self.status, "detail": self.detail}
