"""A running daemon tells a SIEM and a webhook of a call, after it was killed too; no caller's number leaves."""

import base64
import json
import socket
from pathlib import Path
from typing import Any

from tests.helpers.exchange import exchange
from tests.helpers.recorder_home import Edits, RecorderHome, eventually
from tests.helpers.rsyslog import Rsyslog
from tests.helpers.webhook_server import WebhookServer, webhook_server


def edits(folder: Path, server: WebhookServer, siem: Rsyslog, hanging: int) -> Edits:
    secret = folder / "webhook-secret"
    secret.touch(mode=0o600)
    secret.write_text("whsec_" + base64.b64encode(bytes(32)).decode() + "\n")
    webhook = (
        f'[[webhook]]\nname = "crm"\nurl = "https://127.0.0.1:{server.port}/hook"\n'
        f'secret_file = "{secret}"\nca = "{server.ca}"\n'
        f'[[webhook]]\nname = "hangs"\nurl = "http://127.0.0.1:{hanging}/"\nsecret_file = "{secret}"\n'
    )
    return (
        ("look_back_s = 5.0", "look_back_s = 1.5"),
        ("erase_s = 3.0", "erase_s = 0.2"),
        ("[log]\n", f"{webhook}\n[log]\n"),
        ('format = "text" ', 'format = "json" '),
        ('server = "off" ', f'server = "{siem.url}" '),
        ('ca = "off"                      # file of CA certificates for the server', f'ca = "{siem.ca}"  #'),
    )


def told(server: WebhookServer, call: str) -> list[str]:
    """Return the types of the events about a call, each once, as they came."""
    events = [json.loads(one.body) for one in server.taken]
    return list(dict.fromkeys(one["type"] for one in events if one["data"].get("call") == call))


def forwarding(home: RecorderHome) -> dict[str, Any]:
    found: dict[str, Any] = home.health()["forwarding"]
    return found


def test_a_call_is_told_by_syslog_and_webhook_and_its_number_is_not(tmp_path: Path) -> None:
    with (
        Rsyslog(tmp_path / "siem") as siem,
        webhook_server(tmp_path) as server,
        socket.create_server(("127.0.0.1", 0)) as hanging,
        exchange(tmp_path / "recorder", edits=edits(tmp_path, server, siem, hanging.getsockname()[1])) as lines,
    ):
        home = lines.home
        eventually(lambda: forwarding(home)["syslog"], "the process that sends")
        talk = lines.call()
        call = talk.join()
        for act in ("pause", "resume"):
            assert home.act(f"/api/calls/{call}/{act}", by="dora", reason="a card").status_code == 200
        talk.talk_for(0.3)
        talk.hang_up()
        eventually(lambda: len(told(server, call)) == 5, "every event of the call")
        every = {"call.begun", "call.paused", "call.resumed", "call.ended", "recording.ready"}
        assert set(told(server, call)) == every
        cut_off = lines.call()
        killed = cut_off.join()
        # A daemon that is killed before it has made the container of a call knows nothing of it afterwards.
        eventually(
            lambda: any(part.stat().st_size for part in (home.root / "recordings").rglob(f"{killed}.part")),
            "its container",
        )
        home.kill()
        home.start()
        eventually(lambda: {"call.ended", "call.outcome"} <= set(told(server, killed)), "events from the row")
        eventually(lambda: any(" call.resume " in line for line in siem.lines()), "the entries")
        assert list(dict.fromkeys(siem.numbers())) == list(range(1, max(siem.numbers()) + 1))
        assert home.health()["alarms"] == {}
        well, hangs = forwarding(home)["webhooks"]
        assert well["problem"] == ""
        assert hangs["waiting"] >= 5, "a target that hangs delays no other"
        logged = home.said.splitlines()
        assert all(json.loads(line)["message"] for line in logged)
        left = "\n".join([*siem.lines(), *logged, *(one.body.decode() for one in server.taken)])
        assert talk.number not in left
        assert cut_off.number not in left
