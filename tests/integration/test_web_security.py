"""What holds for every answer of the console, whoever asks for what: headers, TLS, limits, no numbers in addresses."""

import logging
import re
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter
from starlette.routing import Route

from benchmarks.ports import free_port
from recorder.web.app import create_app
from recorder.web.middleware import security_headers
from recorder.web.server import TlsFiles, server_config
from recorder.web.static_files import static_files
from recorder.web.throttle import A_SECOND, AT_ONCE, MOST_BUCKETS, Throttle
from tests.helpers import preloaded
from tests.helpers.accounts import PASSWORD
from tests.helpers.certificates import Authority
from tests.helpers.console_site import (
    CALL,
    NO_TLS,
    WITHOUT_SECOND_FACTOR,
    Console,
    console_site,
    csrf_of,
    serving,
    signed_in,
)
from tests.helpers.recorder_home import RecorderHome, eventually, run_apart
from tests.helpers.storage_home import ID

NUMBER = "02079460000"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("web"), is_daemon_up=False) as running:
        yield running


def each(found: Iterable[object]) -> Iterator[Route]:
    for route in found:
        if isinstance(route, Route):
            yield route
        elif isinstance(included := getattr(route, "original_router", None), APIRouter):
            yield from each(included.routes)


VERSIONED = f"{static_files().base}/console.css"
KEPT = {
    "/static/console.css": "no-cache",
    "/static/0123456789abcdef/live.js": "no-cache",
    VERSIONED: "public, max-age=31536000, immutable",
}
"""What a browser may keep, and how: it names nobody."""


def addresses(console: Console) -> list[tuple[str, str]]:
    """Return every method and address that the console knows, and some that it does not."""
    known = {"recording_id": ID, "call": CALL, "number": "2001", "account": "officer"}
    found = [
        (method, re.sub(r"{(\w+)(?::\w+)?}", lambda name: known.get(name[1], "x"), route.path))
        for route in each(create_app(console.deps).routes)
        for method in sorted(route.methods or ())
    ]
    assert len(found) > 80
    strange = [("GET", "/nothing"), ("DELETE", "/live"), ("GET", "/static/none.js"), ("GET", "/static/console.css")]
    versions = [
        ("GET", VERSIONED),
        ("GET", f"{static_files().base}/none.js"),
        ("GET", "/static/0123456789abcdef/live.js"),
    ]
    return [*found, *strange, *versions, ("GET", "/static/../app.py"), ("OPTIONS", "/api/calls"), ("TRACE", "/")]


@pytest.mark.parametrize("name", ["dpo", "officer", ""])
def test_every_answer_has_every_header(console: Console, name: str) -> None:
    expected = {key.lower(): value for key, value in security_headers(is_tls=False).items()}
    with signed_in(console, name) if name else console.browser() as browser:
        for method, path in addresses(console):
            if path == "/sign-out" or path.endswith("sign-out-everywhere"):
                continue
            answer = browser.request(method, path)
            kept = KEPT.get(path, expected["cache-control"])
            wanted = expected | {"cache-control": kept}
            missing = {key for key, value in wanted.items() if answer.headers.get(key) != value}
            assert path not in KEPT or answer.status_code == 200, path
            assert not missing, (method, path, answer.status_code, missing)
            assert answer.status_code != 500, (method, path)
            assert NUMBER not in answer.headers.get("location", "")
            assert "server" not in answer.headers
            for cookie in answer.headers.get_list("set-cookie"):
                assert "HttpOnly" in cookie
                assert "SameSite=strict" in cookie


def test_no_page_puts_a_number_into_an_address_but_the_one_that_searches(console: Console) -> None:
    assert forms_with_numbers_in_addresses(console) == {"/recordings"}


def test_no_page_puts_a_number_into_an_address_at_a_site_with_searches_by_post(tmp_path: Path) -> None:
    options = replace(WITHOUT_SECOND_FACTOR, search_by_post=True)
    with console_site(tmp_path, is_daemon_up=False, options=options) as by_post:
        assert forms_with_numbers_in_addresses(by_post) == set()


def test_a_number_in_an_address_is_in_no_log_and_told_to_no_other_site(
    console: Console, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever is signed in or is not, whatever is wrong with the address, and with the most talkative log."""
    caplog.set_level(logging.DEBUG)
    searched = "01632960123"
    with signed_in(console, "dpo") as dpo, console.browser() as stranger:
        for browser in (dpo, stranger):
            for query in ("number={}", "number={}&page=0", "number={}&from_date=never", "number={}%ff", "x={}&number="):
                for path in ("/recordings", "/audit", "/nothing", "/recordings/csv"):
                    answer = browser.get(f"{path}?{query.format(searched)}")
                    assert answer.headers["referrer-policy"] == "no-referrer"
                    assert answer.headers["cache-control"] == "no-store"
    said = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]  # the browser's
    written = capfd.readouterr()
    for text in (*(f"{one.name} {one.getMessage()} {one.exc_text}" for one in said), written.out, written.err):
        assert searched not in text


def forms_with_numbers_in_addresses(console: Console) -> set[str]:
    """Return the pages of forms that are sent in an address, with a number; no link of any page may have one."""
    found = set()
    with signed_in(console, "dpo") as browser:
        for path in ("/recordings", "/live", f"/recordings/{ID}", "/requests", "/cases", "/reports/pauses"):
            page = browser.get(path).text
            for form in re.findall(r"<form(.*?)</form>", page, re.DOTALL):
                is_sent_openly = 'method="post"' not in form.partition(">")[0]
                if is_sent_openly and re.search(r'name="(number|caller|called)"', form):
                    found.add(path)
            for link in re.findall(r'(?:href|src|action)="([^"]*)"', page):
                assert NUMBER not in link
    return found


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(console: Console, to: str) -> None:
    with console.browser() as browser:
        form = browser.get("/sign-in", params={"next": to, "return_to": to})
        sent = {"name": "dpo", "password": PASSWORD, "csrf": csrf_of(form), "next": to}
        answer = browser.post(
            "/sign-in", params={"next": to}, data=sent, headers={"Referer": to, "Host": "evil.example"}
        )
        assert answer.headers["location"] in {"/live", "/agent"}


def test_tries_to_sign_in_are_limited_by_address_whatever_the_account(console: Console, tmp_path: Path) -> None:
    with console_site(tmp_path, is_daemon_up=False) as fresh, fresh.browser() as browser:
        page, name = f"{fresh.url}/sign-in", {"name": "dpo"}
        elsewhere = [httpx2.post(page, data=name, verify=NO_TLS) for _ in range(int(AT_ONCE) + 20)]
        assert {answer.status_code for answer in elsewhere} == {403}, "a page of others uses up nobody's tries"
        browser.get("/sign-in")
        refused: list[httpx2.Response] = []
        let_in, began_s = 0, time.monotonic()
        for n in range(4 * int(AT_ONCE)):  # one more is let in each second, and a busy machine may need some
            answer = browser.post("/sign-in", data={"name": f"someone{n}"})
            refused += [answer] if answer.status_code == 429 else []
            let_in += answer.status_code != 429
            if len(refused) == 10:
                break
        assert len(refused) == 10
        assert AT_ONCE <= let_in <= AT_ONCE + A_SECOND * (time.monotonic() - began_s) + 1
        assert int(refused[0].headers["retry-after"]) >= 1
        assert refused[0].headers["x-frame-options"] == "DENY"
        assert browser.get("/sign-in").status_code == 200, "looking is no try"


def test_tries_come_back() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0], at_once=3, a_second=0.5)
    assert [throttle.take("a") for _ in range(3)] == [0, 0, 0]
    assert throttle.take("a") == 2.0
    assert throttle.take("b") == 0, "another address has its own"
    now[0] = 2.0
    assert throttle.take("a") == 0
    assert throttle.take("a") > 0
    now[0] = 1e6
    assert [bool(throttle.take("a")) for _ in range(4)] == [False, False, False, True], "never more than at once"
    for number in range(MOST_BUCKETS + 10):
        throttle.take(str(number))
    assert len(throttle._left) == MOST_BUCKETS


# --- TLS


def test_with_a_certificate_cookies_are_for_https_only(console: Console, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("console", ips=["127.0.0.1"])
    app = create_app(replace(console.deps, is_tls=True))
    files = TlsFiles(certificate=Path(certificate), key=Path(key))
    with serving(server_config(app, host="127.0.0.1", port=0, tls=files)) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        trusted = ssl.create_default_context(cafile=str(authority.ca))
        with httpx2.Client(base_url=f"https://127.0.0.1:{port}", verify=trusted, timeout=10) as browser:
            form = browser.get("/sign-in")
            assert form.headers["strict-transport-security"] == "max-age=31536000"
            answer = browser.post("/sign-in", data={"name": "dpo", "password": PASSWORD, "csrf": csrf_of(form)})
            assert answer.status_code == 303
            cookies = answer.headers.get_list("set-cookie")
            assert any(cookie.startswith("__Host-recorder=") for cookie in cookies)
            assert all("; Secure" in cookie and "Path=/" in cookie for cookie in cookies)
            assert browser.get("/live").status_code != 303
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(f"http://127.0.0.1:{port}/sign-in", timeout=5)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(str(authority.ca))
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, pytest.raises(ssl.SSLError):
            old.wrap_socket(plain, server_hostname="127.0.0.1")


def test_the_console_as_a_process_speaks_https(tmp_path: Path) -> None:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070")
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("console", ips=["127.0.0.1"])
    port = free_port()
    home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "127.0.0.1:{port}"')
    text = home.config.read_text()
    before, _, after = text.partition("[console]")
    after = after.replace('tls_certificate = "off"', f'tls_certificate = "{certificate}"')
    home.config.write_text(before + "[console]" + after)
    alone = run_apart("console", "-C", str(home.root))
    assert alone.returncode == 2
    assert "go together" in alone.stderr
    after = after.replace('tls_key = "off"', f'tls_key = "{authority.ca}"')
    home.config.write_text(before + "[console]" + after)
    wrong = run_apart("console", "-C", str(home.root))
    assert wrong.returncode == 2
    assert "tls_key in [console]" in wrong.stderr
    home.config.write_text(before + "[console]" + after.replace(f'"{authority.ca}"', f'"{key}"'))
    trusted = ssl.create_default_context(cafile=str(authority.ca))
    child = preloaded.start(["console", "-C", str(home.root)], home.log)
    try:

        def signs_in() -> httpx2.Response | None:
            assert child.poll() is None
            try:
                return httpx2.get(f"https://127.0.0.1:{port}/sign-in", verify=trusted, timeout=5)
            except httpx2.HTTPError:
                return None

        page = eventually(signs_in, "the console answers by HTTPS", timeout_s=30)
        assert "__Host-recorder-sign-in=" in page.headers["set-cookie"]
    finally:
        child.terminate()
        child.wait(20)
