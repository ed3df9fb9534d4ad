"""A name server on loopback that says what a test puts into it."""

import socket
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer:
    """Answers from ``records``: (name, type) to a time to live and the texts of the records; may fall silent."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.is_silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.address: str = "{}:{}".format(*self._socket.getsockname())
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        self._thread.join(2)
        self._socket.close()

    def _serve(self) -> None:
        while not self._is_closed:
            try:
                data, source = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            if not self.is_silent:
                self._socket.sendto(self._answer(dns.message.from_wire(data)).to_wire(), source)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        key = (question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype))
        self.asked.append(key)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if key in self.records:
            ttl, texts = self.records[key]
            answer.answer.append(dns.rrset.from_text(question.name, ttl, "IN", key[1], *texts))
        elif not any(name == key[0] for name, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
