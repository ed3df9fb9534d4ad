"""Addresses of style sheets and scripts: one that a browser may keep for good changes with every file."""

import asyncio
import posixpath
import re

import pytest
from starlette.exceptions import HTTPException

from recorder.web.page_templates import HERE
from recorder.web.static_files import FOLDER, StaticFiles, static_files
from tests.helpers.asked_app import Answer, ask

CONTENTS = {"a.js": b"import './b/c.js';", "b/c.js": b"1;", "d.css": b"p{}"}


def asked(files: StaticFiles, path: str, method: str = "GET", **headers: str) -> Answer:
    return asyncio.run(ask(files, method, path, headers={name.replace("_", "-"): one for name, one in headers.items()}))


def test_a_file_is_at_its_name_at_its_version_and_at_any_other_version() -> None:
    files = StaticFiles(CONTENTS)
    for base in ("/static", files.base, "/static/0123456789abcdef"):
        script, sheet = asked(files, f"{base}/b/c.js"), asked(files, f"{base}/d.css")
        assert (script.status, script.body) == (200, b"1;"), base
        assert script.headers["content-type"].startswith("text/javascript"), "nosniff runs nothing else"
        assert (sheet.body, sheet.headers["content-type"]) == (b"p{}", "text/css; charset=utf-8"), base
    assert files.is_of_now(f"{files.base}/d.css")
    assert not files.is_of_now("/static/d.css")
    assert not files.is_of_now("/static/0123456789abcdef/d.css")


RENAMED = {name.replace("d.css", "e.css"): content for name, content in CONTENTS.items()}


@pytest.mark.parametrize("changed", [CONTENTS | {"b/c.js": b"2;"}, CONTENTS | {"e.js": b""}, RENAMED])
def test_the_version_changes_with_a_content_and_with_a_name(changed: dict[str, bytes]) -> None:
    assert StaticFiles(changed).base != StaticFiles(CONTENTS).base
    assert StaticFiles(dict(reversed(CONTENTS.items()))).base == StaticFiles(CONTENTS).base


def test_what_a_browser_has_is_not_sent_again() -> None:
    files = StaticFiles(CONTENTS)
    etag = asked(files, "/static/d.css").headers["etag"]
    for sent in (etag, f'"x", W/{etag}'):
        answer = asked(files, "/static/d.css", if_none_match=sent)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert asked(files, "/static/a.js", if_none_match=etag).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/static/none.js", 404), ("GET", "/static/../app.py", 404), ("GET", "/static", 404),
     ("GET", "/static/b", 404), ("POST", "/static/d.css", 405)],
)  # fmt: skip
def test_anything_else_is_not_there(method: str, path: str, status: int) -> None:
    with pytest.raises(HTTPException) as refused:
        asked(StaticFiles(CONTENTS), path, method)
    assert refused.value.status_code == status


def test_pages_scripts_and_sheets_name_no_file_without_its_version() -> None:
    for path in [*(HERE / "templates").rglob("*.html"), *FOLDER.glob("*.js"), *FOLDER.glob("*.css")]:
        text = path.read_text()
        assert "/static/" not in text.replace("{{ static }}/", ""), path.name
        for name in re.findall(r'"\{\{ static \}\}/([^"]+)"', text):
            assert (FOLDER / name).is_file(), (path.name, name)
        for name in re.findall(r'(?:from|import) "(\./[^"]+)"', text):
            assert (FOLDER / posixpath.normpath(name)).is_file(), (path.name, name)
    assert asked(static_files(), f"{static_files().base}/vendor/govuk-frontend.min.css").status == 200
