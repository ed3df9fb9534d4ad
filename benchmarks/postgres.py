"""A PostgreSQL server of our own: in a temporary folder, on a free port, ended by its process id.

Needs Debian's `postgresql` (or another one in PATH), no running service and no account. The server refuses to run as
root, so that then it runs as the user `postgres`, or as `nobody`.
"""

import base64
import fcntl
import hashlib
import hmac
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.ports import free_port

PASSWORD = "pässword/with@signs"  # noqa: S105 - of a server that lives for one session
QUOTED = "p%C3%A4ssword%2Fwith%40signs"
"""As it stands in a URL."""
START_S = 30.0
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""Settings of a server that loses nothing in a power cut, as in production."""


class PostgresServer:
    """One cluster, running.

    Args:
        folder: Where its folder is made; by default where temporary files are.
        cluster: Where a cluster is kept for servers to copy, which takes less CPU; the first one makes it.
        host: The address that it listens at; clients of its networks may connect.
        settings: Of postgresql.conf, in place of ours, which give up durability for speed.
        connect_s: Limit of connecting that its URLs name, seconds; None for that of who connects.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        cluster: Path | None = None,
        host: str = "127.0.0.1",
        settings: Mapping[str, str] | None = None,
        connect_s: int | None = None,
    ) -> None:
        self._programs = _programs()
        self._host = host
        self._query = "" if connect_s is None else f"?connect_timeout={connect_s}"
        self._user = _user()
        self.folder = Path(tempfile.mkdtemp(prefix="recorder-postgres-", dir=folder))
        self.port = free_port()
        self.settings = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._maker: psycopg.Connection[tuple[object, ...]] | None = None
        self._names = itertools.count(1)
        if self._user is not None:
            if folder is not None:
                folder.chmod(0o755)  # that user has to get there
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        try:
            self._copy_cluster(cluster) if cluster is not None else self._make_cluster()
            self.start()
        except BaseException:
            self.close()
            raise

    def _copy_cluster(self, cluster: Path) -> None:
        # Two may ask at once. `cp -a` keeps whose the files are, and copies within the kernel.
        with cluster.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not cluster.exists():
                self._make_cluster()
                subprocess.run(["cp", "-a", self.folder / "data", cluster], check=True)
                return
        subprocess.run(["cp", "-a", cluster, self.folder / "data"], check=True)

    def _make_cluster(self) -> None:
        password = self.folder / "password"
        password.write_text(_verifier(PASSWORD))
        password.chmod(0o644)
        done = self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", "recorder", "--auth=scram-sha-256", f"--pwfile={password}",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        assert done.returncode == 0, f"initdb failed: {done.stderr.decode()}"
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [str(self._programs / program), *words]
        return subprocess.run(command, capture_output=True, check=False, cwd=self.folder, **self._as_user())  # type: ignore[call-overload,no-any-return]

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it wrote to its log."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start the server and wait until it answers; after `stop` on the same port, with the same data."""
        words = [f"-c{name}={value}" for name, value in self.settings.items()]
        # No Unix-domain socket: its path may have 107 bytes, and the folder of a test is longer.
        words += [f"-clisten_addresses={self._host}", f"-cport={self.port}", "-cunix_socket_directories="]
        # Were we killed, nobody else would end it.
        command = ["setpriv", "--pdeathsig", "QUIT", str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [*command, *words], stdout=log, stderr=log, cwd=self.folder, **self._as_user()
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self._address("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError as error:
                assert self._process.poll() is None, f"PostgreSQL ended: {self.log[-2000:]}"
                assert time.monotonic() < deadline, f"PostgreSQL does not answer: {error}"
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT breaks connections off, SIGQUIT is a crash. Idempotent."""
        if self._maker is not None:
            self._maker.close()
            self._maker = None
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(START_S)

    def close(self) -> None:
        """End the server and remove everything."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def new_database(self, *, like: str = "/template1") -> str:
        """Make a database, empty or as the one of another URL, to which nobody is connected; returns its URL."""
        name = f"recorder_{next(self._names)}"
        if self._maker is None:
            self._maker = psycopg.connect(self._address("postgres"), autocommit=True)
        self._maker.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database_name(like)}"'.encode())
        return self.url(name)

    def url(self, name: str, *, password: str = QUOTED, user: str = "recorder") -> str:
        """Return the URL of a database of this server, whether there is one or not."""
        return f"postgresql://{user}:{password}@{self._host}:{self.port}/{name}{self._query}"

    def _address(self, name: str) -> str:
        return f"host={self._host} port={self.port} dbname={name} user=recorder password='{PASSWORD}'"


def database_name(url: str) -> str:
    """Return the name of the database of a URL."""
    return urlsplit(url).path.removeprefix("/")


def _verifier(password: str) -> str:
    """Return what a server keeps of a password, with one round of hashing in place of 4096 (RFC 5803, RFC 5802).

    The client does as many: 5 ms of CPU for each connection of a test.
    """
    salt, rounds = os.urandom(16), 1
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    in_base64 = [base64.b64encode(one).decode() for one in (salt, stored, server)]
    return "SCRAM-SHA-256${1}:{0}${2}:{3}".format(in_base64[0], rounds, *in_base64[1:])


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    in_path = shutil.which("postgres")
    assert found or in_path, "PostgreSQL is missing: `apt-get install postgresql` (it need not run)"
    return found[-1].parent if found else Path(str(in_path)).resolve().parent


def _user() -> pwd.struct_passwd | None:
    """Return who the server runs as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
