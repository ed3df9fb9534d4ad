"""What is in force: by message, language and service, at a moment; nothing that has begun is rewritten."""

from datetime import UTC, datetime, timedelta

from recorder.rules.notice_schedule import ALL_SERVICES, NoticeState, NoticeUse, in_force, is_language, periods

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def use(
    version: int, starts_at: datetime, *, language: str = "en", service: str = ALL_SERVICES, set_at: datetime = NOW
) -> NoticeUse:
    return NoticeUse(
        name="first", version=version, language=language, service=service, starts_at=starts_at, set_at=set_at,
        set_by="sally",
    )  # fmt: skip


def version(uses: list[NoticeUse], at: datetime, *, language: str = "en", service: str = "Benefits") -> int | None:
    found = in_force(uses, "first", language, service, at)
    return None if found is None else found.version


def test_a_version_comes_into_force_at_its_date() -> None:
    uses = [use(2, NEW_YEAR), use(1, NOW)]
    assert [version(uses, at) for at in (NOW, NEW_YEAR - timedelta(seconds=1), NEW_YEAR)] == [1, 1, 2]
    assert in_force(uses, "second", "en", "Benefits", NOW) is None
    assert version(uses, NOW, language="cy") is None


def test_a_services_own_message_goes_before_that_of_all_services() -> None:
    uses = [use(1, NOW), use(2, NEW_YEAR, service="Benefits"), use(3, NEW_YEAR + timedelta(days=1))]
    assert version(uses, NOW) == 1, "its own has not begun"
    assert version(uses, NEW_YEAR + timedelta(days=2)) == 2, "a later one for all services does not replace it"
    assert version(uses, NEW_YEAR + timedelta(days=2), service="Revenues") == 3


def test_a_clock_that_was_set_back_leaves_the_first_that_began_at_once() -> None:
    uses = [use(1, NOW), use(2, NOW + timedelta(days=1), set_at=NOW + timedelta(days=1)), use(3, NEW_YEAR)]
    assert version(uses, NOW - timedelta(days=400)) == 1
    assert version([use(3, NEW_YEAR)], NOW) is None, "one that waits for its date"


def test_of_two_that_begin_together_the_one_that_was_set_last_counts() -> None:
    late = NOW + timedelta(hours=1)
    uses = [use(7, NEW_YEAR, set_at=late), use(8, NEW_YEAR), use(1, NOW)]
    assert version(uses, NEW_YEAR) == 7
    shown = [(one.use.version, one.state, one.ends_at) for one in periods(uses, late)]
    assert shown == [(1, NoticeState.IN_FORCE, NEW_YEAR), (7, NoticeState.COMING, None)]


def test_what_was_in_force_has_its_end_and_other_services_and_languages_do_not_end_it() -> None:
    later = NOW + timedelta(days=1)
    uses = [use(1, NOW), use(2, later, language="cy"), use(3, later, service="Benefits"), use(4, NEW_YEAR)]
    shown = {one.use.version: (one.state, one.ends_at) for one in periods(uses, NEW_YEAR)}
    assert shown == {
        1: (NoticeState.PAST, NEW_YEAR),
        2: (NoticeState.IN_FORCE, None),
        3: (NoticeState.IN_FORCE, None),
        4: (NoticeState.IN_FORCE, None),
    }


def test_language_tags() -> None:
    assert [tag for tag in ("en", "cy", "zh-Hant", "", "Welsh", "e n") if is_language(tag)] == ["en", "cy", "zh-Hant"]
