"""A dispatcher in front of the daemon in virtual time: it asks by OPTIONS whether new calls are welcome."""

from typing import cast

from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import TurnedHome

OPTIONS = (
    "OPTIONS sip:recorder@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{branch}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:dispatcher@127.0.0.1>;tag={branch}\r\nTo: <sip:recorder@127.0.0.1>\r\n"
    "Call-ID: {branch}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def asked(lines: Exchange) -> tuple[int, str, str]:
    """Send OPTIONS; return the status, the Warning and the Retry-After."""
    network, answers = cast(TurnedHome, lines.home)._scene.network, list[bytes]()
    address = network.new_address()
    network.listen(address, lambda data, _: answers.append(data))
    network.send(OPTIONS.format(port=address[1], branch=f"ping{address[1]}").encode(), address, lines.home.sip)
    start, *rest = eventually(lambda: answers, "OPTIONS are answered")[-1].decode().split("\r\n")
    network.leave(address)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return int(start.split(" ")[1]), headers.get("warning", ""), headers.get("retry-after", "")
