"""The section of docs/console.md with pictures shows those that are there."""

from docs.make_screenshots import FOLDER, PAGE, section, updated


def test_the_section_is_up_to_date() -> None:
    text = PAGE.read_text()
    assert "<!-- pictures: begin -->" in text
    assert updated(text, [one.name for one in FOLDER.glob("*.png")]) == text, "run python -m docs.make_screenshots"


def test_one_picture_of_a_page_is_shown_and_the_others_are_linked() -> None:
    assert section(["live-dpo.png", "live-team-leader.png", "other.png"]) == (
        "\n### Live calls\n\n![Live calls, as team leader](screenshots/live-team-leader.png)\n\nAlso:\n\n"
        "- [Data protection officer](screenshots/live-dpo.png)\n"
    )


def test_a_page_without_pictures_stays_without_a_heading() -> None:
    assert section([]) == ""
