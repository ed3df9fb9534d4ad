"""Ranges of settings, as types: the reader of the configuration checks them, and its JSON Schema has them."""

from typing import Annotated

from annotated_types import Ge, Gt

OverZero = Annotated[float, Gt(0)]
AtLeastOne = Annotated[int, Ge(1)]
NotNegative = Annotated[int, Ge(0)]
