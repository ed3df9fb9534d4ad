"""What is not confirmed in time, and what comes of it afterwards."""

import asyncio
import gc
from concurrent.futures import Future
from typing import Any, cast

import pytest

from recorder.calls.call_services import CallServices
from recorder.common.problems import ProblemError
from recorder.control import call_thread_gateway
from recorder.control.call_thread_gateway import CallThreadGateway


def test_an_act_that_fails_after_it_was_not_confirmed_is_no_error_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked has been told that it is not confirmed; a traceback in the log would say nothing more."""
    monkeypatch.setattr(call_thread_gateway, "CONFIRM_S", 0.01)
    errors: list[dict[str, Any]] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context))
        gateway, future = CallThreadGateway(cast("CallServices", None)), Future[None]()
        with pytest.raises(ProblemError, match="Not confirmed"):
            await gateway.confirm(future)
        future.set_exception(RuntimeError("the call has ended"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    asyncio.run(run())
    assert errors == []
