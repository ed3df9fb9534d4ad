"""Wording of the messages: filled with who, why, how long and which key, in English and in Welsh."""

from dataclasses import replace

import pytest

from recorder.rules.notice_template import (
    TEMPLATE_LANGUAGES,
    RecordingReason,
    TemplateFacts,
    first_text,
    second_text,
)

FACTS = TemplateFacts(
    council="Wold Borough Council", days=45, reasons=tuple(RecordingReason), second_key="7", privacy_page="wold.example"
)


@pytest.mark.parametrize("language", TEMPLATE_LANGUAGES)
def test_every_fact_is_in_the_words(language: str) -> None:
    first, second = first_text(language, FACTS), second_text(language, FACTS)
    for text in (first, second):
        assert "Wold Borough Council" in text
        assert " 45 " in text
        assert "{" not in text
        for reason in RecordingReason:
            alone = first_text(language, replace(FACTS, reasons=(reason,)))
            assert len(alone) < len(first)
    assert " 7 " in first
    assert "wold.example" in second
    assert second_text(language, replace(FACTS, privacy_page=None)).count("wold") == 0
    assert " 7 " not in first_text(language, replace(FACTS, second_key=None))
    assert "*" not in first_text(language, replace(FACTS, second_key="*"))


def test_the_reasons_are_a_list() -> None:
    three = (RecordingReason.ACCURACY, RecordingReason.COMPLAINTS, RecordingReason.TRAINING)
    assert "to keep an accurate record of what was said, answer complaints and train our staff." in first_text(
        "en", replace(FACTS, reasons=three)
    )
    two = first_text("cy", replace(FACTS, reasons=three[1::-1]))
    assert "er mwyn ateb cwynion a chadw cofnod cywir o'r hyn a ddywedwyd." in two
    assert "We record calls to answer complaints. " in first_text("en", replace(FACTS, reasons=three[1:2]))
