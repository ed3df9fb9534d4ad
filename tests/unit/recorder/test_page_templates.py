"""What the templates of pages are given besides values."""

from recorder.web.page_templates import options_of


def test_names_are_options_and_no_markup() -> None:
    assert options_of(["Ann O’Hara", '<b>"x"</b>']) == (
        '<option value="Ann O’Hara"></option><option value="&lt;b&gt;&#34;x&#34;&lt;/b&gt;"></option>'
    )
    assert options_of([]) == ""
