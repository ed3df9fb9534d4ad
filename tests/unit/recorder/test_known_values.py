"""Sentences about values that are not known, and about what pydantic finds."""

from datetime import date, datetime
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from recorder.common.known_values import fault_of, nearest, unknown


class _Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("It is even.")
    return value


FAULTS: tuple[tuple[Any, object, str], ...] = (
    (str, 5, "must be text"),
    (Annotated[str, Field(min_length=3)], "a", "must have at least 3 characters"),
    (Annotated[str, Field(max_length=3)], "long", "must have at most 3 characters"),
    (Annotated[str, Field(pattern="^a$")], "b", "is not in the form ^a$"),
    (int, "abc", "must be a whole number, such as 5"),
    (int, 2.5, "must be a whole number, such as 5"),
    (float, "abc", "must be a number, such as 2.5"),
    (bool, "abc", "must be true or false"),
    (Annotated[float, Field(gt=0)], 0, "must be over 0"),
    (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
    (Annotated[int, Field(lt=9)], 9, "must be under 9"),
    (Annotated[int, Field(le=9)], 10, "must be at most 9"),
    (_Colour, "green", "must be 'red' or 'blue'"),
    (Literal["a", "b"], "c", "must be 'a' or 'b'"),
    (list[int], 5, "must be a list"),
    (Annotated[list[int], Field(min_length=1)], [], "must have at least 1 items"),
    (dict[str, int], 5, "must be an object"),
    (_Closed, 5, "must be an object"),
    (_Closed, {}, "is missing"),
    (_Closed, {"name": "a", "colour": "b"}, "is not known here"),
    (datetime, "soon", "must be a time, such as 2026-11-28T14:30:00Z"),
    (AwareDatetime, "2026-11-28T14:30:00", "must have a time zone, such as 2026-11-28T14:30:00Z"),
    (date, "soon", "must be a day, such as 2026-11-28"),
    (UUID, "no", "must be a UUID"),
    (IPv4Address, "no", "must be an IP address, such as 192.0.2.10"),
    (Annotated[int, AfterValidator(_odd)], 2, "is not valid: It is even"),
    (type[int], 5, "is not valid"),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "sentence"), FAULTS)
def test_what_pydantic_finds_is_said_in_plain_words(kind: Any, value: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(kind).validate_python(value)
    assert fault_of(raised.value.errors()[0]) == sentence


def test_the_nearest_value_is_found_whatever_the_case() -> None:
    assert nearest("Recorded", ["partial", "recorded"]) == "recorded"
    assert nearest("x", []) == ""


def test_many_values_are_not_listed() -> None:
    assert unknown("a", ["b"], what="valid") == "'a' is not valid; the nearest is 'b'; known are b"
    assert unknown("3o", map(str, range(40)), what="a number") == "'3o' is not a number; the nearest is '3'"
