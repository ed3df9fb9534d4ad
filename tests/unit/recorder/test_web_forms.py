"""A form that is shown again has what was typed, and a sentence at each field."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from recorder.common.problems import ProblemError
from recorder.web.forms import EMPTY, FieldErrors, TypedForm, _sent


def _sent_form(body: bytes) -> TypedForm:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    return asyncio.run(_sent(Request({"type": "http", "method": "POST", "headers": headers}, receive)))


def test_everything_typed_is_kept_but_secrets() -> None:
    form = _sent_form(b"csrf=t&reason=a%20b&id=1&id=2&passphrase=p&password=p&new=p&again=p&code=1")
    assert form["reason"] == "a b"
    assert form.values["id"] == ("1", "2")
    assert form.has("id", "2")
    assert not form.has("id", "3", first=True)
    assert set(form.values) == {"reason", "id"}


def test_a_form_that_nobody_sent_has_its_first_values() -> None:
    assert EMPTY["reason"] == ""
    assert EMPTY.value("days", "7") == "7"
    assert EMPTY.has("package", "yes", first=True)
    assert _sent_form(b"x=1").value("days", "7") == ""  # emptied, not untouched


def test_errors_are_at_their_fields() -> None:
    form = TypedForm(name="copy", is_sent=True)
    refused = form.refused(ProblemError(422, "No.", fields={"start": "Not a time.", "end": "Too late."}))
    assert refused.error("start") == {"text": "Not a time."}
    assert refused.error("reason") is None
    assert refused.error_list == [
        {"text": "Not a time.", "href": "#copy-start"},
        {"text": "Too late.", "href": "#copy-end"},
    ]


def test_an_error_of_no_field_is_the_forms() -> None:
    refused = EMPTY.refused(ProblemError(409, "It is locked."))
    assert refused.error_list == [{"text": "It is locked."}]


def test_of_several_forms_one_is_shown_again() -> None:
    form = TypedForm(name="copy", values={"reason": ("why",)}, is_sent=True)
    assert form.of("copy")["reason"] == "why"
    assert form.of("erase")["reason"] == ""


def test_every_wrong_field_is_told_at_once() -> None:
    errors = FieldErrors()
    errors.check()
    with errors.of("start"):
        raise ValueError("not a time")
    with errors.of("end"):
        raise ProblemError(422, "Too late.")
    with pytest.raises(ProblemError) as raised:
        errors.check()
    assert raised.value.status == 422
    assert raised.value.document()["fields"] == {"start": "not a time.", "end": "Too late."}
    with pytest.raises(ProblemError), errors.of("case"):
        raise ProblemError(503, "Away.")
