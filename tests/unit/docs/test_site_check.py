"""What the check of a built site finds, in a site of two pages."""

from pathlib import Path

import pytest

from docs.site_check import problems

GOOD = '<body><img src="p.png"><h2 id="one">One</h2><a href="sub/b.html#two">b</a><a href="#one">up</a></body>'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "p.png").write_bytes(b"")
    (tmp_path / "a.html").write_text(GOOD)
    (tmp_path / "sub" / "b.html").write_text(
        '<h2 id="two">Two</h2><a href="/a.html">a</a><a href="https://b.uk/c">c</a>'
    )
    return tmp_path


def test_a_site_without_faults_has_none(site: Path) -> None:
    assert problems(site) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<a href="c.html">c</a>', "links to c.html, which is not there"),
        ('<a href="sub/b.html#three">b</a>', "links to sub/b.html#three, and that page has no such heading"),
        ('<a href="#three">b</a>', "links to #three, and that page has no such heading"),
        ('<a href="https:///c">c</a>', "links to https:///c, which is no address"),
        ('<a href="htps://b.uk">c</a>', "links to htps://b.uk, which is no address"),
        ('<img src="q.png">', "loads q.png, which is not there"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js from another host"),
        ('<link href="//fonts.example/f.css">', "loads //fonts.example/f.css from another host"),
        ("<p>Two:\n- a\n- b</p>", "shows Markdown as text: '- '"),
    ],
)
def test_a_fault_is_named_with_its_page(site: Path, text: str, said: str) -> None:
    (site / "a.html").write_text(GOOD.replace("</body>", f"{text}</body>"))
    assert problems(site) == [f"a.html: {said}"]
    (site / "a.html").write_text(GOOD.replace("</body>", f"<pre>{text.replace('<', '&lt;')}</pre></body>"))
    assert problems(site) == [], "code shows whatever it likes"


def test_a_hyphen_between_two_keys_is_no_list(site: Path) -> None:
    (site / "a.html").write_text(GOOD.replace("</body>", "<td>\n<code>0</code>- <code>9</code></td></body>"))
    assert problems(site) == []
