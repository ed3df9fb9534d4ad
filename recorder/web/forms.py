"""Shows a form again after an error: everything that was typed, and a sentence at each field.

A route that takes a form takes `Sent` too, and hands it to its template as ``form``::

    @router.post("/things")
    def add(console: Console, caller: PageChanger, sent: Sent, name: Text = "", on: Text = "") -> Response:
        try:
            add_thing(name, on)
        except ProblemError as error:
            return page(console, caller, form=sent.refused(error), status=error.status)

A GET hands `EMPTY`. The template reads ``form["name"]``, ``form.error("name")``, ``form.id("name")`` and
``form.error_list``; the last two have the shape that GOV.UK's components take.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Annotated

from fastapi import Depends, Request

from recorder.common.problems import ProblemError
from recorder.rules.typed_dates import date_of, date_typed

NEVER_SHOWN = frozenset({"csrf", "password", "new", "again", "code", "passphrase"})
"""Fields whose values are never sent back to a browser."""


class FieldErrors(dict[str, str]):
    """Collects a sentence for each field that is wrong, so that all are told at once."""

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Note what is raised while a field is read, by a rule or by a service, as the error of this field."""
        try:
            yield
        except ValueError as error:
            self[name] = f"{error}."
        except ProblemError as error:
            if error.status != 422:
                raise
            self[name] = error.detail

    def check(self) -> None:
        """Raise what was collected.

        Raises:
            ProblemError: 422: a field is wrong; the first sentence is its detail.
        """
        if self:
            raise ProblemError(422, next(iter(self.values())), fields=self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedForm:
    """A form as it was sent, for the template that shows it again.

    Attributes:
        name: Which form of the page it is; empty where the page has one.
        values: Every value that was sent, by field; several where several were ticked.
        errors: The sentence for each field that is wrong; at "" what is wrong with no single field.
        is_sent: Whether somebody sent it; False for a form that is shown for the first time.
    """

    name: str = ""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    is_sent: bool = False

    def __getitem__(self, name: str) -> str:
        """Return what was typed into a field, or an empty text."""
        return self.value(name)

    def value(self, name: str, first: str = "") -> str:
        """Return what was typed into a field; ``first`` while nobody has sent the form."""
        return next(iter(self.values.get(name, ())), "") if self.is_sent else first

    def has(self, name: str, value: str, *, first: bool = False) -> bool:
        """Tell whether a value was ticked or chosen; ``first`` while nobody has sent the form."""
        return value in self.values.get(name, ()) if self.is_sent else first

    def id(self, name: str) -> str:
        """Return the id of a field's input, which links in the error summary point to."""
        return f"{self.name}-{name}" if self.name else name

    def error(self, name: str) -> dict[str, str] | None:
        """Return a field's error as GOV.UK's ``errorMessage``, or None."""
        return {"text": self.errors[name]} if name in self.errors else None

    @property
    def error_list(self) -> list[dict[str, str]]:
        """The errors as GOV.UK's ``errorList``, in the order in which they were found."""
        return [
            {"text": sentence, "href": f"#{self.id(name)}"} if name else {"text": sentence}
            for name, sentence in self.errors.items()
        ]

    def named(self, name: str) -> "TypedForm":
        """Return this form as one of several on a page."""
        return replace(self, name=name)

    def of(self, name: str) -> "TypedForm":
        """Return the form of this name: this one, or an empty one if another form of the page was sent."""
        return self if self.name == name else TypedForm(name=name)

    def refused(self, error: ProblemError) -> "TypedForm":
        """Return this form with its errors: at the fields that the problem names, else at the form."""
        return replace(self, errors=dict(error.fields) or {"": error.detail})


def typed_day(form: TypedForm, name: str) -> date | None:
    """Return the day of a date input, or of one field with a whole date; None if nothing was typed.

    Raises:
        TypedDateError: It is no date.
    """
    parts = [form.value(f"{name}-{part}") for part in ("day", "month", "year")]
    if any(part.strip() for part in parts):
        return date_of(*parts)
    whole = form.value(name)
    return date_typed(whole) if whole.strip() else None


EMPTY = TypedForm()
"""A form that is shown for the first time."""


def refused_at(field_name: str, sentence: str, *, form: str = "", **typed: str) -> TypedForm:
    """Return a form with one error, for routes that hand only some fields back, such as those that take a password.

    Args:
        field_name: The field that is wrong; "" for the form as a whole.
        sentence: What is wrong.
        form: Which form of the page it is.
        typed: The values to show again, by field.
    """
    values = {key: (value,) for key, value in typed.items()}
    return TypedForm(name=form, values=values, errors={field_name: sentence}, is_sent=True)


def shown_again(values: Mapping[str, str], errors: Mapping[str, str]) -> TypedForm:
    """Return a form of filters, which is always shown with what was typed."""
    return TypedForm(values={name: (value,) for name, value in values.items()}, errors=errors, is_sent=True)


def asked(request: Request) -> TypedForm:
    """Return what the address of a page asks for, as a form."""
    query = request.query_params
    return TypedForm(values={name: tuple(query.getlist(name)) for name in query}, is_sent=True)


async def _sent(request: Request) -> TypedForm:
    """Read the form again; FastAPI has read it, and starlette keeps it."""
    sent = await request.form()
    values = {
        name: tuple(value for value in sent.getlist(name) if isinstance(value, str))
        for name in sent
        if name not in NEVER_SHOWN
    }
    return TypedForm(values=values, is_sent=True)


Sent = Annotated[TypedForm, Depends(_sent)]
"""What was typed, as a parameter of a route with a form."""
