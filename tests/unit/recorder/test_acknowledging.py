"""Once a year officers acknowledge that they were told of the recording (P5); the day is kept."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from recorder.access.acknowledgements import Acknowledgements
from recorder.access.acknowledging import is_asked, is_due, not_acknowledged
from recorder.access.database import AuditNote, open_people
from recorder.permissions import Person, Role

TODAY = date(2026, 11, 24)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_people(tmp_path / "people.sqlite")
    yield engine
    engine.dispose()


def person(name: str, *roles: Role, extension: str | None = None) -> Person:
    return Person(name=name, display_name=name, roles=frozenset(roles), extension=extension)


def test_everybody_is_asked_whose_calls_are_recorded() -> None:
    assert is_asked(person("olive", Role.OFFICER))
    assert is_asked(person("mona", Role.MANAGER, extension="2001"))
    assert is_asked(person("mona", Role.MANAGER), ["2003"])
    assert not is_asked(person("mona", Role.MANAGER))


def test_it_is_due_once_a_year() -> None:
    assert is_due(None, TODAY)
    assert not is_due(TODAY, TODAY)
    assert not is_due(TODAY - timedelta(days=364), TODAY)
    assert is_due(TODAY - timedelta(days=365), TODAY)
    people = [person("olive", Role.OFFICER), person("oscar", Role.OFFICER), person("dora", Role.DPO)]
    assert not_acknowledged(people, {"oscar": TODAY}, TODAY) == ["olive"]


def test_the_last_day_is_kept_once_it_is_in_the_audit_log(engine: Engine) -> None:
    kept, noted = Acknowledgements(engine), list[AuditNote]()
    kept.acknowledge("olive", TODAY - timedelta(days=400), enter=noted.append)
    kept.acknowledge("olive", TODAY, enter=noted.append)
    assert (kept.day_of("olive"), kept.day_of("oscar")) == (TODAY, None)
    assert kept.days() == {"olive": TODAY}
    assert [(one.act, one.subject) for one in noted] == [("people.told_of_recording", "olive")] * 2

    def fail(_: AuditNote) -> None:
        raise OSError(28, "no log")

    with pytest.raises(OSError, match="no log"):
        kept.acknowledge("oscar", TODAY, enter=fail)
    assert kept.day_of("oscar") is None
