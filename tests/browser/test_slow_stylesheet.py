"""A page is looked at as it is drawn, however late its stylesheet comes."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from tests.helpers.chromium import violations

LINKS = "".join(f'<li><a href="/{number}">Page {number}</a></li>' for number in range(8))
PAGE = f'<!doctype html><html lang="en"><title>Links</title><link rel="stylesheet" href="/late.css"><ul>{LINKS}</ul>'
STYLESHEET = "a { display: inline-block; margin: 20px; padding: 20px; }"


class _Late(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        late = self.path == "/late.css"
        time.sleep(1.0 if late else 0.0)
        self.send_response(200)
        self.send_header("Content-Type", "text/css" if late else "text/html")
        self.end_headers()
        self.wfile.write((STYLESHEET if late else PAGE).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Late) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_what_is_drawn_small_only_until_its_stylesheet_comes_is_no_violation(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_selector("li", state="attached")  # as a test does that waits for a page's words
    assert violations(page) == []
    page.close()
