"""rtpengine as a path under test (see `benchmarks.paths`): ``relay`` forwards only, ``pcap`` records each call too.

In user space (no kernel table), each call into a capture file of its own in a temporary folder, rtpengine's own
defaults otherwise. Command: ``python -m benchmarks.rtpengine_host relay|pcap PAIRS``.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import end
from benchmarks.messages import Media, media_address
from benchmarks.ports import free_address, media_ports
from benchmarks.rtpengine import INSTALL, NgClient, NgError, program
from benchmarks.streams import need_descriptors

_START_S, _END_S = 10.0, 5.0


@contextmanager
def _running(command: str, pairs: int, spool: Path) -> Iterator[NgClient]:
    """Run rtpengine; its process is ended at the end."""
    (host, port), (first, last) = free_address(), media_ports(pairs, per_call=8)
    words = [
        command, "--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
        "--interface=127.0.0.1", f"--listen-ng={host}:{port}", f"--port-min={first}", f"--port-max={last}",
        "--no-redis-required", "--recording-method=pcap", f"--recording-dir={spool}",
    ]  # fmt: skip
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # 12.5 may crash when it is told to end
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr, cwd=spool)
    try:
        with NgClient((host, port)) as client:
            _wait_ready(process, client)
            yield client
    finally:
        end(process, _END_S)


def _wait_ready(process: subprocess.Popen[bytes], client: NgClient) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            client.ask("ping")
        except NgError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _open_call(client: NgClient, number: int, ports: list[int], *, is_recorded: bool) -> tuple[int, int]:
    """Set a call up between two ports of the load; return where each of them sends to."""
    left, right = (bytes(Media(ip="127.0.0.1", port=port)).decode() for port in ports)
    call = {"call_id": f"call-{number}", "from_tag": f"left-{number}"}
    plain = {"ICE": "remove", "flags": ["trust-address"]}
    to_right = client.sdp("offer", **call, **plain, sdp=left)
    to_left = client.sdp("answer", **call, **plain, to_tag=f"right-{number}", sdp=right)
    if is_recorded:
        client.ask("start recording", **call)
    return media_address(to_left)[1], media_address(to_right)[1]


def main() -> int:
    """Run until standard input ends; 1 if rtpengine could not be run."""
    mode, pairs = sys.argv[1], int(sys.argv[2])
    command = program()
    if command is None:
        print(INSTALL, file=sys.stderr)
        return 1
    need_descriptors(8 * pairs + 256)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="recorder-rtpengine-") as spool,
            _running(command, pairs, Path(spool)) as client,
        ):
            for number in range(pairs):
                ports = [int(port) for port in sys.stdin.readline().split()]
                print(*_open_call(client, number, ports, is_recorded=mode == "pcap"), flush=True)
            sys.stdin.read()
            for number in range(pairs):
                client.ask("delete", call_id=f"call-{number}", from_tag=f"left-{number}")
    except NgError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
