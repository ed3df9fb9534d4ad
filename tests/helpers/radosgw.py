"""Ceph's object gateway from Debian, alone with a database of its own: a real S3 server with one bucket."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from benchmarks.ports import free_port
from tests.helpers.certificates import Authority
from tests.helpers.peer_process import peer_process
from tests.helpers.recorder_home import eventually

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
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
rgw_frontends = beast {listening}
log_file = {folder}/log
admin_socket =
run_dir = {folder}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A running gateway."""

    endpoint: str
    bucket: str
    ca: Path | None = None

    @property
    def trusting(self) -> tuple[str, ...]:
        """The words that make curl trust it."""
        return () if self.ca is None else ("--cacert", str(self.ca))

    def account(self, file: Path, *, secret: str = SECRET) -> Path:
        """Write the file of its account."""
        lines = {
            "endpoint": self.endpoint, "region": "default", "access_key_id": KEY, "secret_access_key": secret,
            **({} if self.ca is None else {"ca": self.ca}),
        }  # fmt: skip
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in lines.items()))
        file.chmod(0o600)
        return file


@contextmanager
def radosgw(
    folder: Path, *, host: str = "127.0.0.1", authority: Authority | None = None, port_of: Gateway | None = None
) -> Iterator[Gateway]:
    """Start a gateway in a folder; ends it whatever happens.

    Args:
        folder: Its folder.
        host: Where it listens.
        authority: Signs its certificate; without one it speaks plain HTTP, which accounts take on loopback only.
        port_of: A gateway that ran in this folder and has ended: start it again as it was.
    """
    if port_of is not None:
        with _running(folder, port_of):
            yield port_of
        return
    for name in ("db", "data"):
        (folder / name).mkdir(parents=True)
    address = f"{host}:{free_port()}"
    if authority is None:
        gateway, listening = Gateway(endpoint=f"http://{address}", bucket="recordings"), f"endpoint={address}"
    else:
        certificate, key = authority.issue("store", ips=(host,))
        gateway = Gateway(endpoint=f"https://{address}", bucket="recordings", ca=authority.ca)
        listening = f"ssl_endpoint={address} ssl_certificate={certificate} ssl_private_key={key}"
    (folder / "ceph.conf").write_text(_CONFIG.format(folder=folder, listening=listening))
    _make_user(folder, _words(folder))
    with _running(folder, gateway):
        subprocess.run(
            ["curl", "--silent", "--fail", *gateway.trusting, "--aws-sigv4", "aws:amz:default:s3",
             "--user", f"{KEY}:{SECRET}", "--request", "PUT", f"{gateway.endpoint}/{gateway.bucket}"],
            check=True, timeout=30,
        )  # fmt: skip
        yield gateway


def _words(folder: Path) -> tuple[str, ...]:
    return ("-c", str(folder / "ceph.conf"), "--no-mon-config")


def _running(folder: Path, gateway: Gateway) -> AbstractContextManager[object]:
    command = ("radosgw", *_words(folder), "-f", "-n", "client.rgw")
    return peer_process(command, folder / "out", lambda: _answers(gateway))


def _make_user(folder: Path, words: tuple[str, ...]) -> None:
    """Make the account. The command may hang at its end; by then it has printed what it stored."""
    command = (
        "radosgw-admin", *words, "user", "create", "--uid", "backup", "--display-name", "backup",
        "--access-key", KEY, "--secret-key", SECRET,
    )  # fmt: skip
    said, problem = folder / "user.json", folder / "user.log"
    with said.open("wb") as output, problem.open("wb") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors)

    def is_made() -> bool:
        assert process.poll() in (None, 0), f"radosgw-admin made no account: {problem.read_text()[-2000:]}"
        return said.read_text().rstrip().endswith("}")

    try:
        eventually(is_made, "the account is made")
    finally:
        process.kill()
        process.wait(10)


def _answers(gateway: Gateway) -> bool:
    trusted = True if gateway.ca is None else ssl.create_default_context(cafile=gateway.ca)
    try:
        httpx2.get(gateway.endpoint, timeout=5, verify=trusted)
    except httpx2.TransportError:
        return False
    return True
