"""sippy's transactions without what no leg needs: responses and requests are made when they are sent, not in advance.

sippy makes the 487 of each INVITE that arrives, and the CANCEL and 408 of each that we send; almost none is ever sent.
`sip.transactions` extends these. Call thread only. Knows sippy; see `sip.reactor`.
"""

from sippy.SipTransactionManager import TRYING, SipTMRetransmitO, SipTransaction, SipTransactionManager
from sippy.Time.Timeout import Timeout

from sip.reactor import Sippy

T1_S = 0.5
"""First interval between retransmissions (RFC 3261 section 17.1.1.1)."""
TIMEOUT_S = 64 * T1_S
"""After this time a request has no answer (timers B and F)."""
DEFAULT_EXPIRES_S = 300
"""Time for which an INVITE without Expires may ring."""


class _Transaction(SipTransaction):  # type: ignore[misc]  # sippy has no types
    """A transaction that has its request for as long as something may still be made from it.

    Attributes:
        request: The request, if it is an INVITE that may be cancelled; None afterwards.
    """

    request: Sippy = None

    def cleanup(self) -> None:
        """Let go of all that belongs to the transaction."""
        super().cleanup()
        self.request = None


class ServerTransaction(_Transaction):
    """A request of a peer.

    Attributes:
        local_tag: Our tag, for the 487 of an INVITE that begins a leg.
    """

    local_tag: str | None = None


class ClientTransaction(_Transaction):
    """A request of ours."""

    def take_cancel(self) -> Sippy:
        """Return the CANCEL of an INVITE, or None if it was taken before."""
        request, self.request = self.request, None
        return None if request is None else request.genCANCEL()


class LeanTransactions(SipTransactionManager):  # type: ignore[misc]  # sippy has no types
    """The transactions that `sip.transactions` extends."""

    # -- our requests

    def begin_client(self, request: Sippy, userv: Sippy, resp_cb: Sippy, cb_ifver: int) -> Sippy:
        """Send a request and begin its transaction, as sippy's ``newTransaction``."""
        transaction = ClientTransaction()
        transaction.method, transaction.cb_ifver = request.getMethod(), cb_ifver
        transaction.tid = request.getTId(True, True)
        if transaction.tid in self.tclient:
            raise ValueError("a transaction with these tags and this branch exists already")
        transaction.tout = T1_S
        transaction.address, _ = request.getTarget()
        transaction.userv = userv
        transaction.data = request.localStr(userv.getSIPaddr())
        transaction.needack = transaction.method == "INVITE"
        if transaction.needack:
            transaction.expires = _expires_s(request)
            transaction.ack = request.genACK()
            transaction.request = request
        else:
            transaction.expires = TIMEOUT_S
            transaction.ack = None
        transaction.cancelPending = False
        transaction.resp_cb = resp_cb
        transaction.teA = Timeout(self.timerA, T1_S, 1, transaction)
        transaction.teB = Timeout(self.timerB, TIMEOUT_S, 1, transaction)
        transaction.teC = None
        transaction.state = TRYING
        self.tclient[transaction.tid] = transaction
        self.transmitData(userv, transaction.data, transaction.address)
        return transaction

    def transmitData(  # noqa: N802 - sippy's name
        self, userv: Sippy, data: Sippy, address: Sippy, cachesum: Sippy = None, lossemul: int = 0
    ) -> None:
        """Send a text, and remember it as the answer to a message with a checksum; nothing is lost on purpose."""
        userv.send_to(data, address)
        self.global_config["_sip_logger"].sent(userv, address, data)
        if cachesum is not None:
            self.l1rcache[cachesum] = SipTMRetransmitO(userv, data, address, None, 0)

    # -- requests of peers

    def incomingRequest(self, msg: Sippy, checksum: Sippy, tids: Sippy, server: Sippy) -> None:  # noqa: N802 - sippy's name
        """Begin the transaction of a new request; sippy handles loops, repetitions, ACK and CANCEL."""
        method = msg.getMethod()
        tid = None if method in ("ACK", "CANCEL") else msg.getTId(wBRN=True)
        if tid is None or tid in self.tserver or any(one in self.tclient for one in tids):
            super().incomingRequest(msg, checksum, tids, server)
        else:
            self._begin_server(msg, method, tid, checksum, server)

    def _begin_server(self, request: Sippy, method: str, tid: Sippy, checksum: Sippy, server: Sippy) -> None:
        transaction = ServerTransaction()
        transaction.tid, transaction.method, transaction.state = tid, method, TRYING
        transaction.teA = transaction.teD = transaction.teE = transaction.teF = transaction.teG = None
        transaction.rtime = request.rtime
        transaction.noack_cb = transaction.ack_cb = transaction.cancel_cb = transaction.r487 = None
        transaction.checksum = checksum
        transaction.userv = self.l4r.getServer(request.getSource()) if server.uopts.isWildCard() else server
        transaction.needack = method == "INVITE"
        transaction.branch = None
        if transaction.needack:
            transaction.request = request
            transaction.branch = request.getHFBody("via").getBranch()
            transaction.teE = Timeout(self.timerE, _expires_s(request), 1, transaction)
        self.tserver[tid] = transaction
        hooks = self.req_cb(request, transaction)
        if hooks is None:
            if not (transaction.teA or transaction.teD or transaction.teE or transaction.teF):
                self.tserver.pop(transaction.tid, None)
                transaction.cleanup()
            return
        response, transaction.cancel_cb, transaction.noack_cb = hooks
        if response is not None:
            self.sendResponse(response, transaction)

    def doCancel(self, t: Sippy, rtime: Sippy = None, req: Sippy = None) -> None:  # noqa: N802 - sippy's name
        """Answer 487 to an INVITE that was cancelled, or, without a request, that rang too long."""
        if t.request is not None:
            t.r487 = t.request.genResponse(487, "Request Expired" if req is None else "Request Terminated")
            if t.local_tag is not None:
                t.r487.getHFBody("to").setTag(t.local_tag)
        super().doCancel(t, rtime, req)


def _expires_s(request: Sippy) -> int:
    """Return the seconds that an INVITE may ring."""
    stated = request.getHFBodys("expires")
    seconds: int = stated[0].getNum() if stated else 0
    return seconds if seconds > 0 else DEFAULT_EXPIRES_S
