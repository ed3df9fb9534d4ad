"""Ceph's object gateway from Debian, alone with a database of its own: a real S3 server with one bucket."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ports import free_port

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
_STARTS_S = 60.0
_CONFIG = """
[global]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
[client]
rgw_backend_store = dbstore
rgw_config_store = dbstore
dbstore_db_dir = {folder}/db
dbstore_config_uri = file:{folder}/db/config.db
rgw_data = {folder}/data
rgw_frontends = beast endpoint=127.0.0.1:{port}
log_file = {folder}/log
admin_socket =
run_dir = {folder}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A running gateway."""

    endpoint: str
    bucket: str

    def account(self, file: Path, *, secret: str = SECRET) -> Path:
        """Write the file of its account."""
        lines = {
            "endpoint": self.endpoint, "region": "default", "access_key_id": KEY, "secret_access_key": secret,
        }  # fmt: skip
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in lines.items()))
        file.chmod(0o600)
        return file


@contextmanager
def radosgw(folder: Path) -> Iterator[Gateway]:
    """Start a gateway in a folder; ends it whatever happens."""
    for name in ("db", "data"):
        (folder / name).mkdir(parents=True)
    port, config = free_port(), folder / "ceph.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port))
    words = ("-c", str(config), "--no-mon-config")
    _make_user(folder / "user.json", words)
    gateway = Gateway(endpoint=f"http://127.0.0.1:{port}", bucket="recordings")
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            ["radosgw", *words, "-f", "-n", "client.rgw"], stdout=out, stderr=out, cwd=folder, env={**os.environ}
        )
    try:
        _wait(gateway.endpoint, process)
        subprocess.run(
            ["curl", "--silent", "--fail", "--aws-sigv4", "aws:amz:default:s3", "--user", f"{KEY}:{SECRET}",
             "--request", "PUT", f"{gateway.endpoint}/{gateway.bucket}"],
            check=True, timeout=30,
        )  # fmt: skip
        yield gateway
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _make_user(said: Path, words: tuple[str, ...]) -> None:
    """Make the account. The command may hang at its end; by then it has printed what it stored."""
    with said.open("wb") as out:
        command = subprocess.Popen(
            ["radosgw-admin", *words, "user", "create", "--uid", "backup", "--display-name", "backup",
             "--access-key", KEY, "--secret-key", SECRET],
            stdout=out, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    deadline = time.monotonic() + _STARTS_S
    while not said.read_text().rstrip().endswith("}"):
        assert time.monotonic() < deadline, "the account is not made"
        time.sleep(0.05)
    command.kill()
    command.wait(10)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _STARTS_S
    while True:
        assert process.poll() is None, "the gateway ended at its start"
        assert time.monotonic() < deadline, "the gateway does not answer"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
