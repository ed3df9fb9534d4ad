"""Pages as the documentation site takes them: links out of docs/, anchors of GitHub, lists of Python-Markdown."""

from pathlib import Path

import pytest

from docs.site_pages import (
    PROJECT_PAGES,
    links,
    outside_files,
    place_in_site,
    slug,
    with_links_of_site,
    with_lists_of_markdown,
)


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Back up", "back-up"),
        ("`[[peer]]` - who may send us calls", "peer---who-may-send-us-calls"),
        ("Audit log `audit/audit.log`", "audit-log-auditauditlog"),
    ],
)
def test_an_anchor_is_the_one_of_github(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("docs/policy.md", "../tests/policy/test_p01.py", "project/tests/policy/test_p01.py.txt"),
        ("docs/guides/agent.md", "../pausing.md#opt-outs", "../pausing.md#opt-outs"),
        ("docs/adr/0001-x.md", "../../README.md", "../project/README.md"),
        ("README.md", "docs/operations.md#install", "../operations.md#install"),
        ("README.md", "CHANGELOG.md", "CHANGELOG.md"),
        ("docs/a.md", "https://example.org/b", "https://example.org/b"),
        ("docs/a.md", "#below", "#below"),
    ],
)
def test_a_link_leads_to_the_same_file_in_the_site(page: str, link: str, led: str) -> None:
    assert with_links_of_site(page, f"See [it]({link}).") == f"See [it]({led})."


def test_links_in_code_are_left_alone_and_not_followed() -> None:
    text = "`[a](../b.py)` and\n\n```\n[c](../d.py)\n```\n"
    assert with_links_of_site("docs/x.md", text) == text
    assert list(links(text)) == []


def test_files_outside_are_those_that_pages_link_to_and_those_that_these_link_to(tmp_path: Path) -> None:
    for name in (*PROJECT_PAGES, "code.py", "tests.md", "more.c", "not.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("[code](../code.py) [page](../tests.md) [gone](../gone.py) [b](b.md)")
    (tmp_path / "tests.md").write_text("[more](more.c)")
    found = outside_files(tmp_path, ["docs/a.md"])
    assert sorted(set(found)) == sorted(found)
    assert set(found) - set(PROJECT_PAGES) == {"code.py", "tests.md", "more.c"}
    assert place_in_site("code.py") == "project/code.py.txt"


def test_a_list_right_below_text_gets_an_empty_line() -> None:
    assert with_lists_of_markdown("Two:\n- a\n  more\n- b\n\nEnd\n") == "Two:\n\n- a\n    more\n- b\n\nEnd\n"


def test_code_in_an_item_is_indented_code() -> None:
    text = "1. Run:\n\n   ```\n   recorder reload\n   ```\n\n   Then wait.\n2. End\n"
    assert with_lists_of_markdown(text) == (
        "1. Run:\n\n\n        recorder reload\n\n\n    Then wait.\n\n2. End\n"
    )  # fmt: skip


def test_code_that_looks_like_a_list_is_left_alone() -> None:
    text = "Text\n\n```\nkey:\n- a\n  - b\n```\n"
    assert with_lists_of_markdown(text) == text


def test_no_file_outside_the_project_is_in_the_site(tmp_path: Path) -> None:
    root, secret = tmp_path / "project", tmp_path / "secret.txt"
    root.mkdir()
    secret.write_text("a token of the machine that builds the site")
    for page in (*PROJECT_PAGES, "page.md"):
        (root / page).write_text(
            f"[one]({secret}) [two](../secret.txt) [three](docs/../../secret.txt) [four](link.txt)"
        )
    (root / "link.txt").symlink_to(secret)
    assert outside_files(root, ["page.md"]) == list(PROJECT_PAGES)
