"""What an OpenID provider may send that is not to be believed, and what it may do instead of answering."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from recorder.access.openid import provider as provider_module
from recorder.config.openid_options import OpenIdOptions
from recorder.config.settings import Console as ConsoleOptions
from tests.helpers.console_site import NO_TLS, Browser, Console, console_site, csrf_of
from tests.helpers.false_provider import CLIENT, FalseProvider, Token, false_provider, hmac_signed, rsa_key, unsigned
from tests.helpers.openid import CALLBACK, SESSION, leave, led_to, title
from tests.helpers.starvation import stopwatch

DOWN, NOT_BELIEVED = (503, "The sign-in service is not answering"), (403, "You are not signed in")


@pytest.fixture(scope="module")
def running() -> Iterator[FalseProvider]:
    with false_provider() as one:
        yield one


@pytest.fixture
def liar(running: FalseProvider) -> FalseProvider:
    running.reset()
    return running


@pytest.fixture
def options(liar: FalseProvider) -> OpenIdOptions:
    return OpenIdOptions(issuer=liar.issuer, client_id=CLIENT, console_url="http://127.0.0.1:8080")


@pytest.fixture
def console(tmp_path: Path, options: OpenIdOptions) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False, options=ConsoleOptions(), openid=options) as made:
        yield made


@pytest.fixture
def browser(console: Console) -> Iterator[Browser]:
    with console.browser() as made:
        yield made


def press(browser: Browser) -> httpx2.Response:
    return browser.post("/sign-in/openid", data={"csrf": csrf_of(browser.get("/sign-in"))})


def come_back(browser: Browser, liar: FalseProvider, **also: str) -> httpx2.Response:
    """Go to the provider and come back with a code, whatever it is worth."""
    asked = parse_qs(urlsplit(leave(browser)).query)
    liar.claims["nonce"] = asked["nonce"][0]
    return browser.get(CALLBACK, params={"state": asked["state"][0], "code": "a code", **also})


def outcome(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, title(answer)


def test_what_is_true_is_believed(browser: Browser, liar: FalseProvider) -> None:
    assert led_to(come_back(browser, liar)) == "/live"


def test_whoever_comes_back_stands_where_the_link_pointed(browser: Browser, liar: FalseProvider) -> None:
    link = "/recordings?operator=smith+%26+co&number=0123"
    assert browser.get(link).headers["location"] == "/sign-in"
    asked = parse_qs(urlsplit(leave(browser)).query)
    liar.claims["nonce"] = asked["nonce"][0]
    del browser.cookies["recorder-wanted"]  # Strict: a browser that comes from the provider does not send it
    assert led_to(browser.get(CALLBACK, params={"state": asked["state"][0], "code": "a code"})) == link


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example/", "/\\evil.example", "/agent/state"])
def test_whoever_comes_back_is_led_nowhere_else(browser: Browser, liar: FalseProvider, to: str) -> None:
    browser.get("/sign-in", params={"next": to})
    browser.cookies.set("recorder-wanted", quote(to, safe=""), domain="127.0.0.1")
    assert led_to(come_back(browser, liar)) == "/live"


def _claim(name: str, value: Any) -> Token:
    def made(liar: FalseProvider) -> str:
        liar.claims[name] = value(liar) if callable(value) else value
        return liar.signed()

    return made


def _with_key(liar: FalseProvider) -> str:
    own = rsa_key("own")
    return liar.signed(key=own, jwk=own.as_dict(private=False))


LIES: dict[str, Token] = {
    "signed by somebody else": lambda it: it.signed(key=rsa_key("somebody else")),
    "signed by nobody": lambda it: unsigned(it.claims, kid="first"),
    "signed with what is public": lambda it: hmac_signed(it.claims, it.key.as_pem(private=False), kid="first"),
    "a key of its own in the token": _with_key,
    "for somebody else": _claim("aud", "another client"),
    "of somebody else": _claim("iss", "https://another.example"),
    "an answer to something else": _claim("nonce", "another nonce"),
    "expired": _claim("exp", lambda _: int(time.time()) - 120),
    "no token at all": lambda _: "not a token",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_signs_nobody_in(browser: Browser, console: Console, liar: FalseProvider, lie: str) -> None:
    liar.make = LIES[lie]
    assert outcome(come_back(browser, liar)) == NOT_BELIEVED
    assert SESSION not in browser.cookies
    assert console.deps.identities.of("officer") is None
    entry = console.entries("people.sign_in_refused")[-1]
    assert (entry.subject, entry.details["why"]) == ("unknown", "openid_answer")


def test_an_answer_in_the_name_of_another_provider(browser: Browser, liar: FalseProvider) -> None:
    assert outcome(come_back(browser, liar, iss="https://another.example")) == NOT_BELIEVED
    assert "/token" not in liar.heard, "the code goes to nobody"


def test_a_provider_that_names_itself_always_does(browser: Browser, liar: FalseProvider) -> None:
    liar.document["authorization_response_iss_parameter_supported"] = True  # type: ignore[assignment]
    assert outcome(come_back(browser, liar)) == NOT_BELIEVED
    assert led_to(come_back(browser, liar, iss=liar.issuer)) == "/live"


def test_a_code_that_is_not_taken(browser: Browser, liar: FalseProvider) -> None:
    liar.spoilt["/token"] = lambda: JSONResponse({"error": "invalid_grant"}, 400)
    assert outcome(come_back(browser, liar)) == NOT_BELIEVED


def _endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


FAULTS: dict[str, tuple[str, Callable[[], Response]]] = {
    "tokens: an error": ("/token", lambda: Response(status_code=500)),
    "tokens: a redirect": ("/token", lambda: RedirectResponse("http://127.0.0.1:9/", 307)),
    "tokens: no JSON": ("/token", lambda: Response("<html>")),
    "tokens: a list": ("/token", lambda: JSONResponse([])),
    "tokens: nested": ("/token", lambda: Response("[" * 200_000)),
    "tokens: without end": ("/token", lambda: StreamingResponse(_endless())),
    "keys: an error": ("/jwks", lambda: Response(status_code=404)),
    "keys: none": ("/jwks", lambda: JSONResponse({})),
    "keys: nonsense": ("/jwks", lambda: JSONResponse({"keys": [1, {"kty": "RSA"}]})),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_provider_that_breaks_is_told(
    browser: Browser, liar: FalseProvider, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, answer = FAULTS[fault]
    liar.spoilt[path] = answer
    assert outcome(come_back(browser, liar)) == DOWN
    assert ("more than 1048576 bytes" in caplog.text) is (fault == "tokens: without end")
    assert SESSION not in browser.cookies
    assert browser.sign_in("officer").status_code == 303


@pytest.mark.parametrize(
    ("key", "value"),
    [("issuer", "https://another.example"), ("token_endpoint", "http://192.0.2.1/token"), ("jwks_uri", None),
     ("authorization_endpoint", "javascript:alert(1)"), ("userinfo_endpoint", "file:///etc/passwd")],
)  # fmt: skip
def test_addresses_that_others_could_read_along_are_not_used(
    browser: Browser, liar: FalseProvider, key: str, value: Any
) -> None:
    liar.document[key] = value
    assert outcome(press(browser)) == DOWN


def test_new_keys_of_the_provider_are_learned(
    browser: Browser, console: Console, liar: FalseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert led_to(come_back(browser, liar)) == "/live"
    liar.key = rsa_key("second")
    liar.make = lambda it: it.signed(kid="second")
    monkeypatch.setattr(provider_module, "KEYS_AGAIN_S", 0.0)
    with console.browser() as other:
        assert led_to(come_back(other, liar)) == "/live"
    assert liar.heard.count("/jwks") == 2


def test_who_signed_in_there_long_ago_does_so_again(
    tmp_path: Path, liar: FalseProvider, options: OpenIdOptions
) -> None:
    strict = replace(options, max_age_s=600)
    with console_site(tmp_path, is_daemon_up=False, openid=strict) as console, console.browser() as browser:
        liar.claims["auth_time"] = time.time() - 3600
        assert outcome(come_back(browser, liar)) == NOT_BELIEVED
        del liar.claims["auth_time"]
        assert outcome(come_back(browser, liar)) == NOT_BELIEVED
        liar.claims["auth_time"] = time.time()
        assert led_to(come_back(browser, liar)) == "/live"


def test_the_name_of_the_account_may_stand_elsewhere(browser: Browser, console: Console, liar: FalseProvider) -> None:
    name = liar.claims.pop("preferred_username")
    liar.userinfo = {"sub": "somebody else", "preferred_username": name}
    assert outcome(come_back(browser, liar)) == NOT_BELIEVED
    liar.userinfo = {"sub": liar.claims["sub"], "preferred_username": name, "amr": ["mfa"], "iss": "x"}
    assert led_to(come_back(browser, liar)) == "/live"
    connected = console.deps.identities.of("officer")
    assert connected is not None
    assert connected.issuer == liar.issuer


ALL_S = 60.0
"""Fifty people one after another would wait 150 s."""


def test_a_provider_that_dawdles_keeps_nobody_else_waiting(
    browser: Browser, console: Console, liar: FalseProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "DEADLINE_S", 3.0)
    is_asked, sent, go_on = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    def dawdle() -> Response:
        is_asked.release()
        go_on.wait(ALL_S)
        return Response(status_code=500)

    browser.sign_in("officer")
    assert browser.get("/live").status_code == 200
    liar.spoilt["/.well-known/openid-configuration"] = dawdle
    crowd = [console.browser() for _ in range(50)]
    try:
        forms = [csrf_of(one.get("/sign-in")) for one in crowd]
        for one in crowd:
            one.event_hooks = {"request": [lambda _request: sent.release()]}
        with ThreadPoolExecutor(len(crowd)) as pool:
            began = time.monotonic()
            pressed = [
                pool.submit(one.post, "/sign-in/openid", data={"csrf": csrf})
                for one, csrf in zip(crowd, forms, strict=True)
            ]
            assert is_asked.acquire(timeout=ALL_S)
            for _ in crowd:  # as long as they are busy with asking, they keep the interpreter from the console
                assert sent.acquire(timeout=ALL_S)
            for _ in range(5):
                took_s = stopwatch(os.getpid())
                assert browser.get("/live").status_code == 200
                assert took_s() < 2
            assert {outcome(one.result(ALL_S)) for one in pressed} == {DOWN}
            assert time.monotonic() - began < ALL_S
    finally:
        go_on.set()
        for one in crowd:
            one.close()


def test_callbacks_are_limited_as_passwords_are(browser: Browser) -> None:
    browser.cookies.set("recorder-openid", "made up")
    answers = [browser.get(CALLBACK, params={"state": "x", "code": str(n)}).status_code for n in range(80)]
    assert answers[0] == 403
    assert 429 in answers


def test_a_page_of_others_uses_up_no_tries_and_fills_no_log(
    browser: Browser, console: Console, liar: FalseProvider
) -> None:
    """A page can have every browser that shows it ask for the way back, as for a picture: without our cookies."""
    before = len(console.entries())
    back = f"{console.url}{CALLBACK}?state=x&code=y"
    answers = [httpx2.get(back, verify=NO_TLS) for _ in range(80)]
    assert {outcome(answer) for answer in answers} == {(403, "This sign-in is out of date")}
    assert len(console.entries()) == before
    assert led_to(come_back(browser, liar)) == "/live", "everybody at this address can sign in"
