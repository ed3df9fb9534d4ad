"""A machine of a site with several recorders: its configuration, and certificates by `openssl` for benchmarks."""

import subprocess
from pathlib import Path

from recorder.config import config_file

Files = tuple[str, str]
"""Paths of a certificate and of its key."""


def node_edits(
    name: str,
    url: str,
    *,
    listen: int,
    ca: str,
    node: Files,
    console: Files,
    advertised: int = 0,
    host: str = "127.0.0.1",
) -> list[tuple[str, str]]:
    """Return the changes of a configuration that make a node, whose console reaches the others.

    Args:
        name: The node's name.
        url: The index that the nodes share.
        listen: The port of its control API.
        ca: The authority's certificate.
        node: The node's certificate and key.
        console: The console's.
        advertised: The port where the console reaches it; 0 is ``listen``.
        host: The node's address.
    """
    values = {
        "name": name, "listen": f"{host}:{listen}", "certificate": node[0], "key": node[1], "ca": ca,
        "console_certificate": console[0], "console_key": console[1],
        **({"advertised": f"{host}:{advertised}"} if advertised else {}),
    }  # fmt: skip
    section = "".join(f'{key} = "{value}"\n' for key, value in values.items())
    return [('index_url = "off"', f'index_url = "{url}"'), (_section(), f"[node]\n{section}\n")]


def _section() -> str:
    """Return the section as `recorder init` writes it."""
    source = Path(config_file.__file__).read_text()
    return source[source.index("[node]\n") : source.index("[voicemail]\n")]


class OpenSslAuthority:
    """A certificate authority of a benchmark; its certificate is ``ca``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca, self._key = str(folder / "ca.pem"), str(folder / "ca.key")
        _openssl("req", "-x509", *_NEW, "-subj", "/CN=Benchmark", "-keyout", self._key, "-out", self.ca)

    def issue(self, role: str, name: str) -> Files:
        """Return the files of a machine's certificate."""
        certificate, key = str(self._folder / f"{role}-{name}.pem"), str(self._folder / f"{role}-{name}.key")
        _openssl(
            "req", "-x509", *_NEW, "-subj", f"/OU={role}/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", self.ca, "-CAkey", self._key,
            "-keyout", key, "-out", certificate,
        )  # fmt: skip
        return certificate, key


_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90")


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
