"""`recorder webhooks`: what is configured, what was delivered, and a delivery to try."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.forwarding.webhook_queue import DeliveryState, WebhookQueue
from recorder.rules.webhook_events import EventType, event_of
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.webhook_server import WebhookServer, webhook_server

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass
class Site:
    """A home without a daemon, and a server that its webhook goes to."""

    home: RecorderHome
    server: WebhookServer
    secret: Path

    def run(self, *words: str) -> Any:
        return self.home.run("webhooks", *words, "-C", str(self.home.root))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("webhooks")
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET + "\n")
    with webhook_server(folder) as server:
        webhook = (
            f'[[webhook]]\nname = "crm"\nurl = "https://127.0.0.1:{server.port}/hook/token-in-path"\n'
            f'secret_file = "{secret}"\nca = "{server.ca}"\nevents = ["call.ended"]\n\n[log]\n'
        )
        with recorder_home(folder, is_started=False, next_hop="127.0.0.1:5099", edits=[("[log]\n", webhook)]) as home:
            yield Site(home, server, secret)


def test_a_test_event_is_signed_as_the_specifications_own_library_checks(site: Site) -> None:
    done = site.run("test", "crm", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == 204
    taken = site.server.taken.pop()
    event = Webhook(SECRET).verify(taken.body, taken.headers)
    assert (event["type"], event["data"]) == ("webhook.test", {"webhook": "crm"})


def test_a_test_that_fails_says_why(site: Site) -> None:
    assert "configured are crm" in site.run("test", "other").stderr
    site.server.answer = b"HTTP/1.1 500 No\r\n\r\n"
    try:
        done = site.run("test", "crm", "--json")
    finally:
        site.server.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == 500
    assert "it answered 500" in done.stderr
    site.secret.chmod(0o644)
    try:
        assert "its mode must be 0600" in site.run("test", "crm").stderr
    finally:
        site.secret.chmod(0o600)
    assert "token-in-path" not in done.stdout + done.stderr


def test_list_and_log_show_deliveries_to_administrators(site: Site) -> None:
    queue, targets = WebhookQueue(Home(site.home.root).webhooks), read_config(site.home.config).webhook
    now: datetime = utc_now()
    queue.add([event_of(EventType.CALL_ENDED, f"call-{n}", now, {}) for n in range(3)], targets, now)
    first, second, _ = queue.due("crm", now, most=3)
    queue.settle(first, DeliveryState.DELIVERED, now, status=204)
    queue.settle(second, DeliveryState.WAITING, now, due=now + timedelta(hours=1), problem="it answered 500")
    admin = site.home.as_admin()
    assert site.run("list").returncode != 0
    (listed,) = json.loads(site.run("list", "--json", *admin).stdout)
    assert (listed["name"], listed["events"], listed["waiting"]) == ("crm", "call.ended", 2)
    assert "token-in-path" not in json.dumps(listed)
    logged = json.loads(site.run("log", "--json", *admin).stdout)
    assert [one["about"] for one in logged] == ["call-2", "call-1", "call-0"]
    waiting = json.loads(site.run("log", "--json", "--state", "waiting", "--limit", "1", *admin).stdout)
    assert [(one["about"], one["problem"]) for one in waiting] == [("call-2", "")]
    assert json.loads(site.run("log", "--json", "--webhook", "other", *admin).stdout) == []
