"""The templates of the console's pages, with their filters and the components of GOV.UK Frontend."""

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import (
    BytecodeCache,
    ChainableUndefined,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
)
from jinja2.bccache import Bucket
from jinja2.utils import missing
from markupsafe import Markup

from recorder.recordings.lengths import flags_of, lengths_of
from recorder.web.static_files import FOLDER, static_files
from recorder.web.word_filters import filters_for

HERE = Path(__file__).parent
STYLE = FOLDER / "vendor/govuk-frontend.min.css"
"""Stylesheet of the pages' components, which the set-up takes from npm (docs/adr/0060-govuk-frontend.md)."""

_COMPONENTS = {"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}
_LAYOUT = dict.fromkeys(
    ("assetUrl", "bodyAttributes", "bodyClasses", "containerAttributes", "containerClasses", "cspNonce",
     "footerAttributes", "footerClasses", "headerAttributes", "headerClasses", "htmlClasses", "mainAttributes",
     "mainClasses", "mainLang", "opengraphImageUrl", "pageTitleLang"),
    "",
)  # fmt: skip
"""Variables of GOV.UK's page template that this console does not set."""


class _PageUndefined(StrictUndefined):
    """A misspelt variable or attribute is an error; what a component may be called without is not.

    That is an absent key of its parameters, and ``caller``.
    """

    def __new__(cls, hint: str | None = None, obj: Any = missing, *rest: Any, **others: Any) -> Any:  # noqa: ANN401
        """Return the undefined value of a name or of an attribute of ``obj``."""
        if isinstance(obj, dict) or others.get("name") == "caller":
            return ChainableUndefined(hint, obj, *rest, **others)
        return super().__new__(cls)


class _CompiledTemplates(BytecodeCache):
    """Compiled templates in memory: those of the components take a quarter of a second, once in a process."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template its code, if this source was compiled before."""
        bucket.code = self._compiled.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template that was compiled."""
        assert bucket.code is not None
        self._compiled[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _CompiledTemplates()


def options_of(values: Sequence[str]) -> Markup:
    """Return the options of a datalist; those of thousands of officers are the same on each page, and are made once."""
    return _options(tuple(values))


@lru_cache(maxsize=64)
def _options(values: tuple[str, ...]) -> Markup:
    return Markup().join(Markup('<option value="{}"></option>').format(one) for one in values)


class _PageEnvironment(Environment):
    """Gives each template its globals as one dict.

    Jinja's is a ChainMap, of which it makes a set for each import of a macro: a tenth of what a page costs.
    """

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return the globals of a template; those that are added to the environment later are not among them."""
        return {**self.globals, **(d or {})}


def page_templates(zone: ZoneInfo, colour: str) -> Environment:
    """Return the templates of one console.

    Args:
        zone: The site's time zone.
        colour: The council's colour, #rrggbb.
    """
    templates = _PageEnvironment(
        loader=ChoiceLoader((FileSystemLoader(HERE / "templates"), PrefixLoader(_COMPONENTS))),
        autoescape=True, undefined=_PageUndefined, trim_blocks=True, bytecode_cache=_COMPILED,
        auto_reload=False,  # else each page asks the file system whether any of its forty files has changed
    )  # fmt: skip
    templates.globals.update(_LAYOUT, themeColor=colour, static=static_files().base, undefined=ChainableUndefined())
    templates.globals["null"] = None
    templates.filters.update(filters_for(zone), lengths=lengths_of, flags=flags_of, options=options_of)
    return templates
