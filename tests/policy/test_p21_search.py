"""P21: recordings are kept by date, time and operator identity.

Walked: the file lies in a folder of its day and operator; the call is found by day, by the minute, by operator and by
extension, and not beside them; without a person nothing is found.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import PurePath

from tests.helpers.policy_site import PolicySite


def test_a_call_is_found_by_date_time_and_operator(site: PolicySite) -> None:
    row, lena = site.finished_call("2003"), site["lena"]
    colleagues = site.finished_call("2002")["id"]
    call, started = row["id"], datetime.fromisoformat(row["started_at"])
    minute = started.replace(second=0, microsecond=0)

    def finds(*words: str) -> bool:
        return call in [one["id"] for one in lena.json("find", *words)]

    day = site.day_of(row)
    assert finds("--from", day, "--to", day)
    assert not finds("--from", (date.fromisoformat(day) + timedelta(days=1)).isoformat())
    assert finds("--from", minute.isoformat(), "--to", (minute + timedelta(minutes=1)).isoformat())
    assert not finds("--to", minute.isoformat())
    assert finds("--operator", "Bea Benn", "--from", day)
    assert not finds("--operator", "Olive Officer")
    assert finds("--extension", "2003")
    assert "needs a person" in site.nobody.is_refused("find", "--operator", "Bea Benn", code=2)

    folder, others = (PurePath(lena.json("show", one)["path"]).parent for one in (call, colleagues))
    assert folder.parent.as_posix() == f"{started.astimezone(UTC):%Y/%m/%d}"
    assert folder != others, "each operator has a folder of the day"
