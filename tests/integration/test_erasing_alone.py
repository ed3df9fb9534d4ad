"""What one person alone may have erased of a finished recording: small orders add up."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.retention.erasing import forgot_recording, order_erasure
from recorder.retention.erasure_decisions import decide_erasure
from storage.retention_types import ErasureKind, ErasureState
from tests.helpers.erasure_site import MONA, OLIVE, SECONDS, ErasureSite
from tests.helpers.storage_home import ID


@pytest.fixture
def site(tmp_path: Path) -> ErasureSite:
    return ErasureSite(tmp_path)


def test_small_orders_add_up(site: ErasureSite) -> None:
    repos = replace(site.repos, forgot_s=2.0)
    first = forgot_recording(repos, OLIVE, ID, span_s=(1.0, 2.0))
    again = forgot_recording(repos, OLIVE, ID, span_s=(1.0, 2.0))
    second = forgot_recording(repos, OLIVE, ID, span_s=(3.0, 4.0))
    assert {order.state for order in (first, again, second)} == {ErasureState.CONFIRMED}
    site.eraser.carry_out_due()
    more = forgot_recording(repos, OLIVE, ID, span_s=(2.0, 2.5))
    assert more.state is ErasureState.WAITING, "piece by piece, nobody erases a whole call alone"
    assert (
        order_erasure(repos, MONA, ID, span_s=(4.0, 4.5), kind=ErasureKind.CARD_DATA, reason="a card").state
        is ErasureState.WAITING
    )
    decide_erasure(repos, MONA, more.id, confirm=True, reason="agreed")
    site.eraser.carry_out_due()
    rest = forgot_recording(repos, OLIVE, ID, span_s=(1.5, 2.0))
    assert rest.state is ErasureState.CONFIRMED, "what others have agreed to does not count"


def test_small_orders_given_at_once_add_up_too(site: ErasureSite) -> None:
    repos = replace(site.repos, forgot_s=1.0)
    found: list[ErasureState] = []

    def forget(second: int) -> None:
        found.append(forgot_recording(repos, OLIVE, ID, span_s=(second, second + 1.0)).state)

    threads = [threading.Thread(target=forget, args=(second,)) for second in range(SECONDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [ErasureState.CONFIRMED] + [ErasureState.WAITING] * (SECONDS - 1)


@pytest.mark.parametrize(
    ("span_s", "state"),
    [
        ((0.5, 2.0), ErasureState.CONFIRMED),
        ((1.9, 3.0), ErasureState.WAITING),
        ((0.0, None), ErasureState.WAITING),
    ],
)
def test_of_a_call_that_was_handed_over_their_own_part_goes_alone_and_no_other(
    site: ErasureSite, span_s: tuple[float, float | None], state: ErasureState
) -> None:
    segments = [
        {
            "start_s": start_s, "end_s": end_s, "kind": "recording", "operator": operator, "extension": extension,
            "officers": [{"extension": extension, "operator": operator, "team": "Revenues"}],
        }
        for start_s, end_s, operator, extension in (
            (0.0, 2.0, "Olive Officer", "2001"), (2.0, float(SECONDS), "Bob", "2002"),
        )
    ]  # fmt: skip
    site.save(
        path=site.row.path, bytes=site.row.bytes, sha256=site.row.sha256, segments=segments,
        operators=["Olive Officer", "Bob"], extensions=["2001", "2002"],
    )  # fmt: skip
    assert forgot_recording(site.repos, OLIVE, ID, span_s=span_s).state is state
