"""Signing in by an OpenID provider, as a browser does it."""

import re
from html import unescape

import httpx2

from tests.helpers.console_site import Browser, csrf_of

SESSION, LEAVE, CALLBACK = "recorder", "/sign-in/openid", "/sign-in/openid/callback"


def leave(browser: Browser) -> str:
    """Press the button; return where the browser is led."""
    answer = browser.post(LEAVE, data={"csrf": csrf_of(browser.get("/sign-in"))})
    assert answer.status_code == 200, answer.text
    return led_to(answer)


def led_to(answer: httpx2.Response) -> str:
    """Return where a page leads on to."""
    found = re.search(r'<meta http-equiv="refresh" content="0; url=([^"]+)">', answer.text)
    assert found is not None, f"{answer.status_code}: {answer.text}"
    return unescape(found[1])


def title(answer: httpx2.Response) -> str:
    """Return the heading of a page."""
    found = re.search(r"<h1>(.*?)</h1>", answer.text)
    assert found is not None
    return found[1]
