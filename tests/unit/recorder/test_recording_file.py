"""In which order the work on the file of a recording is done that comes while the file is being made."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

from recorder.calls.call_services import CallServices
from recorder.calls.recording_file import Ending, RecordingFile
from recorder.common.serial_executor import SerialExecutor


def test_a_mark_that_waits_for_the_file_comes_before_the_end() -> None:
    """The call may end while the thread that made the file is about to hand on what waited for it."""
    order: list[str] = []
    is_made, may_go_on = threading.Event(), threading.Event()
    opening = SerialExecutor("opening")

    def filed(work: Any, *_: object) -> "Future[None]":
        order.append(work.__name__)
        return Future()

    def made(_head: object) -> Any:
        is_made.wait(10)
        return SimpleNamespace(path=None)

    services = SimpleNamespace(
        opening=opening,
        filing=SimpleNamespace(submit=filed),
        vault=SimpleNamespace(create=made),
        writer=SimpleNamespace(add=lambda *_: None, finish=lambda *_: order.append("finish")),
        open_recordings=set(),
    )
    row: Any = SimpleNamespace(id="one", started_at=None, operator_key="k")
    file = RecordingFile(cast("CallServices", services), row, cast("Any", 1), {})
    file._created.add_done_callback(lambda _: may_go_on.wait(10))
    file.mark({"what": "metadata"})
    is_made.set()
    file._created.result(10)
    file.finish(cast("Ending", SimpleNamespace(row=row)))
    may_go_on.set()
    opening.close()
    assert order == ["_mark", "finish"]
