"""Wording of the messages to callers: who records, why, for how long, and callers' rights. Pure.

It is filled from the configuration. The English and the Welsh say the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class RecordingReason(StrEnum):
    """Why calls are recorded (P8)."""

    ACCURACY = "accuracy"
    COMPLAINTS = "complaints"
    TRAINING = "training"
    QUALITY = "quality"
    PROTECTION = "protection"
    CRIME = "crime"


DEFAULT_REASONS = (
    RecordingReason.ACCURACY,
    RecordingReason.COMPLAINTS,
    RecordingReason.TRAINING,
    RecordingReason.PROTECTION,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFacts:
    """What the template is filled with.

    Attributes:
        council: Its name.
        days: How long recordings are kept, days.
        reasons: Why calls are recorded.
        second_key: The caller's key for the second message; None if there is none.
        privacy_page: Where the privacy notice is, as it is read out; None if it is not said.
    """

    council: str
    days: int
    reasons: Sequence[RecordingReason]
    second_key: str | None
    privacy_page: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wording:
    """The texts in one language.

    Attributes:
        reasons: Words of each reason, and with "and" before it, where that changes them.
        keys: Words of keys that are no digits.
    """

    first: str
    second_offer: str
    hold: str
    second: str
    page: str
    no_page: str
    reasons: Mapping[RecordingReason, tuple[str, str]]
    keys: Mapping[str, str]

    def listed(self, reasons: Sequence[RecordingReason]) -> str:
        """Return the reasons as one list."""
        *before, last = reasons
        if not before:
            return self.reasons[last][0]
        return f"{', '.join(self.reasons[one][0] for one in before)} {self.reasons[last][1]}"


def _and(words: str) -> tuple[str, str]:
    return words, f"and {words}"


_ENGLISH = _Wording(
    first=(
        "Thank you for calling {council}. We record calls to {reasons}. We keep a recording for {days} days. "
        "We pause the recording when you give card details."
    ),
    second_offer="Press {key} to hear how we use your information and what your rights are, or hold to be connected.",
    hold="Please hold to be connected.",
    second=(
        "This is how we use recordings of calls. {council} records this call to {reasons}. We keep the recording for "
        "{days} days. Then we delete it, unless we still need it for a complaint or an enquiry. Only authorised staff "
        "may listen to it. You can ask us not to record this call: tell the officer. You can ask for a copy of the "
        "recording, or ask us to correct or delete what we hold about you. {page} You can also complain to the "
        "Information Commissioner."
    ),
    page="To read more, go to {privacy_page}, or ask for our Data Protection Officer.",
    no_page="To read more, see the privacy page of our website, or ask for our Data Protection Officer.",
    reasons=MappingProxyType(
        {
            RecordingReason.ACCURACY: _and("keep an accurate record of what was said"),
            RecordingReason.COMPLAINTS: _and("answer complaints"),
            RecordingReason.TRAINING: _and("train our staff"),
            RecordingReason.QUALITY: _and("check the quality of our service"),
            RecordingReason.PROTECTION: _and("protect the people who work here"),
            RecordingReason.CRIME: _and("help to detect crime"),
        }
    ),
    keys=MappingProxyType({"*": "star", "#": "hash"}),
)
_WELSH = _Wording(
    first=(
        "Diolch am ffonio {council}. Rydym yn recordio galwadau er mwyn {reasons}. Rydym yn cadw recordiad am {days} "
        "diwrnod. Rydym yn oedi'r recordiad pan fyddwch yn rhoi manylion cerdyn."
    ),
    second_offer=(
        "Pwyswch {key} i glywed sut rydym yn defnyddio eich gwybodaeth a beth yw eich hawliau, neu arhoswch i gael "
        "eich cysylltu."
    ),
    hold="Arhoswch i gael eich cysylltu.",
    second=(
        "Dyma sut rydym yn defnyddio recordiadau o alwadau. Mae {council} yn recordio'r alwad hon er mwyn {reasons}. "
        "Rydym yn cadw'r recordiad am {days} diwrnod. Wedyn rydym yn ei ddileu, oni bai bod ei angen o hyd ar gyfer "
        "cwyn neu ymholiad. Dim ond staff awdurdodedig sy'n cael gwrando arno. Gallwch ofyn i ni beidio â recordio'r "
        "alwad hon: dywedwch wrth y swyddog. Gallwch ofyn am gopi o'r recordiad, neu ofyn i ni gywiro neu ddileu'r hyn "
        "sydd gennym amdanoch. {page} Gallwch hefyd gwyno i'r Comisiynydd Gwybodaeth."
    ),
    page="I ddarllen mwy, ewch i {privacy_page}, neu gofynnwch am ein Swyddog Diogelu Data.",
    no_page="I ddarllen mwy, ewch i'r dudalen preifatrwydd ar ein gwefan, neu gofynnwch am ein Swyddog Diogelu Data.",
    reasons=MappingProxyType(
        {
            RecordingReason.ACCURACY: (
                "cadw cofnod cywir o'r hyn a ddywedwyd",
                "a chadw cofnod cywir o'r hyn a ddywedwyd",
            ),
            RecordingReason.COMPLAINTS: ("ateb cwynion", "ac ateb cwynion"),
            RecordingReason.TRAINING: ("hyfforddi ein staff", "a hyfforddi ein staff"),
            RecordingReason.QUALITY: ("gwirio ansawdd ein gwasanaeth", "a gwirio ansawdd ein gwasanaeth"),
            RecordingReason.PROTECTION: ("diogelu'r bobl sy'n gweithio yma", "a diogelu'r bobl sy'n gweithio yma"),
            RecordingReason.CRIME: ("helpu i ganfod troseddau", "a helpu i ganfod troseddau"),
        }
    ),
    keys=MappingProxyType({"*": "seren", "#": "hash"}),
)
_WORDINGS: Mapping[str, _Wording] = MappingProxyType({"en": _ENGLISH, "cy": _WELSH})
TEMPLATE_LANGUAGES = tuple(_WORDINGS)
"""Languages that have a template."""


def first_text(language: str, facts: TemplateFacts) -> str:
    """Return the notice that callers hear before they are connected.

    Args:
        language: One of `TEMPLATE_LANGUAGES`.
        facts: What it is filled with.
    """
    words = _WORDINGS[language]
    key = facts.second_key
    end = words.hold if key is None else words.second_offer.format(key=words.keys.get(key, key))
    return f"{_filled(words.first, words, facts)} {end}"


def second_text(language: str, facts: TemplateFacts) -> str:
    """Return the second message, on how data is used; for the arguments see `first_text`."""
    words = _WORDINGS[language]
    page = words.no_page if facts.privacy_page is None else words.page.format(privacy_page=facts.privacy_page)
    return _filled(words.second, words, facts, page=page)


def _filled(text: str, words: _Wording, facts: TemplateFacts, **more: str) -> str:
    return text.format(council=facts.council, reasons=words.listed(facts.reasons), days=facts.days, **more)
