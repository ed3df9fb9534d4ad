"""Debian's Glewlwyd: an OpenID provider of somebody else's, in C, with its own sign-in page."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from joserfc.jwk import RSAKey

from benchmarks.ports import free_port
from tests.helpers.peer_process import peer_process
from tests.helpers.recorder_home import HANGS_S

PROGRAM = "/usr/bin/glewlwyd"
TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
SHARE = Path("/usr/share/glewlwyd")
CLIENT, SECRET, PASSWORD = "recorder", "secret of the recorder", "provider password"
_MIME = {"html": "text/html", "js": "application/javascript", "css": "text/css", "json": "application/json"}


@dataclass(frozen=True)
class Glewlwyd:
    """One that runs.

    Attributes:
        url: Where it listens.
        issuer: As it names itself.
    """

    url: str
    issuer: str

    @contextmanager
    def signed_in(self, name: str, password: str = PASSWORD) -> Iterator[httpx2.Client]:
        """Somebody's browser that is signed in here."""
        with httpx2.Client(base_url=f"{self.url}/api", timeout=HANGS_S) as client:
            _must(client.post("/auth/", json={"username": name, "password": password}))
            yield client

    def admin(self) -> AbstractContextManager[httpx2.Client]:
        """Return the browser of its administrator."""
        return self.signed_in("admin", "password")

    def add_person(self, name: str, **properties: Any) -> None:
        """Make somebody an account, who consents to tell the recorder who they are."""
        person = {"username": name, "name": name, "password": PASSWORD, "scope": ["openid"], "enabled": True}
        with self.admin() as client:
            _must(client.post("/user/", json={**person, "email": f"{name}@council.example", **properties}))
        with self.signed_in(name) as client:
            _must(client.put(f"/auth/grant/{CLIENT}/", json={"scope": "openid"}))

    def remove_person(self, name: str) -> None:
        with self.admin() as client:
            _must(client.delete(f"/user/{name}"))

    def back(self, name: str, address: str) -> str:
        """Have somebody sign in at an address that the recorder sent their browser to; return where they are sent."""
        with self.signed_in(name) as client:
            answer = client.get(f"{address}&g_continue")
            assert answer.status_code == 302, answer.text
            return answer.headers["location"]


@contextmanager
def glewlwyd(folder: Path, callback: str) -> Iterator[Glewlwyd]:
    """Start one with the recorder as its client; ends it whatever happens."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with sqlite3.connect(folder / "provider.sqlite") as tables:
        tables.executescript(TABLES.read_text())
    tables.close()
    _copy_pages(folder / "pages")
    config = folder / "provider.conf"
    config.write_text(_config(port, url, folder))
    command = (PROGRAM, f"--config-file={config}")
    with peer_process(command, folder / "provider.log", lambda: _answers(url)):
        made = Glewlwyd(url, f"{url}/api/oidc")
        with made.admin() as client:
            _must(client.post("/mod/plugin/", json=_plugin(made.issuer)))
            _must(client.post("/client/", json=_client(callback)))
        yield made


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/config", timeout=1).status_code == 200
    except httpx2.HTTPError:
        return False


def _copy_pages(pages: Path) -> None:
    """Copy its pages: it serves no file that a link leads to, and Debian's are links to other packages' scripts."""
    configuration = shutil.ignore_patterns("config.json")
    shutil.copytree(SHARE / "webapp", pages, ignore=configuration)
    shutil.copy(SHARE / "templates" / "config.json", pages)


def _config(port: int, url: str, folder: Path) -> str:
    types = ", ".join(f'{{ extension = ".{end}" mime_type = "{mime}" compress = 0 }}' for end, mime in _MIME.items())
    modules = {"user_module": "user", "user_middleware_module": "user_middleware", "client_module": "client",
               "user_auth_scheme_module": "scheme", "plugin_module": "plugin"}  # fmt: skip
    return "\n".join(
        [
            f'port={port}\nbind_address="127.0.0.1"\nexternal_url="{url}"\nlogin_url="login.html"\napi_prefix="api"',
            f'static_files_path="{folder}/pages/"\nstatic_files_mime_types = ( {types} )',
            'log_mode="console"\nlog_level="WARNING"\ncookie_secure=0\nsession_key="provider"\nhash_algorithm="SHA512"',
            'admin_scope="g_admin"\nprofile_scope="g_profile"',
            *(f'{key}_path="/usr/lib/glewlwyd/{name}"' for key, name in modules.items()),
            f'database = {{ type = "sqlite3" path = "{folder}/provider.sqlite" }};',
        ]
    )


def _plugin(issuer: str) -> dict[str, Any]:
    key = RSAKey.generate_key(2048)
    parameters = {
        "iss": issuer, "jwt-type": "rsa", "jwt-key-size": "256",
        "key": key.as_pem(private=True).decode(), "cert": key.as_pem(private=False).decode(),
        "access-token-duration": 60, "refresh-token-duration": 60, "code-duration": 60, "refresh-token-rolling": False,
        "allow-non-oidc": False, "auth-type-code-enabled": True, "auth-type-token-enabled": False,
        "auth-type-id-token-enabled": False, "auth-type-password-enabled": False, "auth-type-client-enabled": False,
        "auth-type-refresh-enabled": False, "pkce-allowed": True, "pkce-required": True, "subject-type": "public",
        "allowed-scope": ["openid"], "email-claim": "mandatory",
        "claims": [{"name": "preferred_username", "user-property": "username", "type": "string", "mandatory": True}],
    }  # fmt: skip
    return {"module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "parameters": parameters}


def _client(callback: str) -> dict[str, Any]:
    return {
        "client_id": CLIENT, "name": "Call recorder", "enabled": True, "confidential": True, "password": SECRET,
        "redirect_uri": [callback], "authorization_type": ["code"], "scope": ["openid"],
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
    }  # fmt: skip


def _must(answer: httpx2.Response) -> httpx2.Response:
    assert answer.status_code == 200, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return answer
