"""A request that is given up leaves nothing of its text behind, although sippy keeps its transaction for a while."""

from typing import Any, cast

import pytest

from sip.lean_transactions import ClientTransaction
from sip.options import Address, TransportKind
from sip.stream_server import Outlet, RequestServer
from sip.transactions import Transactions


@pytest.mark.parametrize("is_stream", [False, True], ids=["udp", "tcp"])
def test_a_request_that_is_given_up_is_let_go_of_at_once(*, is_stream: bool) -> None:
    heard: list[tuple[int, str]] = []
    transaction: Any = ClientTransaction()
    transaction.teA = transaction.teB = None
    transaction.data, transaction.request = "Signal=7", object()
    transaction.cb_ifver, transaction.resp_cb = 2, lambda response, _: heard.append(response.getSCode())
    server: Any = None
    transaction.userv = server
    if is_stream:
        to = Address(host="127.0.0.1", port=5060, transport=TransportKind.TCP)
        transaction.userv = server = RequestServer(cast("Outlet", None), to, None)
        server.follow(transaction.request, transaction)
    Transactions.__new__(Transactions).timerB(transaction)
    try:
        assert heard == [(408, "Request Timeout")]
        assert (transaction.data, transaction.request, transaction.resp_cb) == (None, None, None)
        if is_stream:
            assert server._request is None
            assert server.is_taken, "what is lost later is known to be answered"
    finally:
        transaction.teC.cancel()
