"""The page with the pause button waits only briefly for the index, which may be on a server that does not answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.web.last_calls import LastCalls
from recorder.web.recent_checks import CHECK_S
from storage.answer_time import left_s
from storage.errors import DatabaseError
from tests.helpers.pages_site import pages_site
from tests.helpers.storage_home import ID


def test_a_server_that_does_not_answer_keeps_no_pause_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []

    def away(*_: Any) -> Any:
        waits.append(left_s())
        raise DatabaseError("no answer", is_passing=True)

    with pages_site(tmp_path) as site:
        last = LastCalls(site.deps, site.app.state.parts.audit_service)
        olive = site.deps.people.find("officer")
        assert olive is not None
        monkeypatch.setattr(site.deps.index, "find", away)
        monkeypatch.setattr(site.deps.repos.erasures, "of_recording", away)
        assert last.of(replace(olive, is_proven=True)) is None
        assert last.to_erase([ID]) == []
    assert len(waits) == 2
    assert all(one is not None and one <= CHECK_S for one in waits)
