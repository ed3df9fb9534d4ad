"""A SipEndpoint in a process of its own, driven by JSON lines: sippy's loop wants the main thread, and so does pytest.

Out: ``{"address": [host, port]}``, then one line for each event, ``{"event": name, ...}``. In: one command a line,
``{"do": method, ...}``; ``{"do": "b2bua", "to": [host, port]}`` joins every offered call with that target from then on;
``{"do": "upon", "event": name, "then": command}`` carries out a command within the next event of that name, on its leg.
"""

import base64
import dataclasses
import gc
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sip.commands import OutgoingCall
from sip.digest import Credentials
from sip.endpoint import SipEndpoint
from sip.events import (
    Body,
    CallOffered,
    InfoReceived,
    LegAnswered,
    LegEnded,
    LegId,
    LegRang,
    LegRefused,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    SipEvent,
)
from sip.options import Address, PeerLimits, PeerRule, Registrar, SipOptions, StreamLimits, TlsOptions, TransportKind
from sip.reactor import Reactor

REASON = 'SIP;cause=503;text="restarted"'
"""Reason of the BYE in a dialog that an earlier process left."""


def _plain(value: Any) -> Any:
    if isinstance(value, Body):
        return {"type": value.content_type, "content": value.content.decode("latin-1")}
    if isinstance(value, Address):
        over = [] if value.transport is TransportKind.UDP else [value.transport.value]
        return [value.host, value.port, *over]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _address(value: list[Any]) -> Address:
    """Return the address of ``[host, port]`` or ``[host, port, transport]``."""
    host, port, *transport = value
    return Address(host=host, port=port, transport=TransportKind(transport[0] if transport else "udp"))


def _rule(given: dict[str, Any]) -> PeerRule:
    """Return a rule of a peer; JSON has lists."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return PeerRule(**values)


def _body(value: dict[str, str] | str | None) -> Body | None:
    if value is None:
        return None
    if isinstance(value, str):
        return Body(content=value.encode("latin-1"))
    if "base64" in value:
        return Body(content=base64.b64decode(value["base64"]), content_type=value["type"])
    return Body(content=value["content"].encode("latin-1"), content_type=value["type"])


def _parsed(line: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a command and its arguments."""
    args = json.loads(line)
    name = args.pop("do")
    if "body" in args:
        args["body"] = _body(args["body"])
    if "headers" in args:
        args["headers"] = tuple((key, value) for key, value in args["headers"])
    return name, args


class Keeper:
    """Says what is kept of dialogs."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say

    def keep(self, leg: LegId, kept: Mapping[str, Any]) -> None:
        self._say({"kept": {**kept, "leg": leg}})

    def forget(self, leg: LegId) -> None:
        self._say({"forgotten": leg})


class Driver:
    """Turns lines into commands and events into lines."""

    def __init__(self, options: SipOptions, say: Callable[[dict[str, Any]], None]) -> None:
        self.say = say
        self.reactor = Reactor()
        self.endpoint = SipEndpoint(options, self.on_event, self.reactor)
        self.join_to: Address | None = None
        self.joined: dict[LegId, LegId] = {}
        self.answered: set[LegId] = set()
        self.upon: dict[str, dict[str, Any]] = {}
        self.own_commands: dict[str, Callable[..., None]] = {
            "watch": self.admit_or_watch, "admit": self.admit_or_watch,
            "keep": lambda: self.endpoint.keep_dialogs_by(Keeper(self.say)),
            "hang_up_left": lambda left: self.endpoint.hang_up_left(
                left, reason=REASON, when_ended=lambda key: self.say({"settled": key})
            ),
        }  # fmt: skip
        self.say({"address": [self.endpoint.address.host, self.endpoint.address.port]})
        self.say({"addresses": {kind.value: _plain(at) for kind, at in self.endpoint.addresses.items()}})

    def on_event(self, event: SipEvent) -> None:
        fields = {field.name: _plain(getattr(event, field.name)) for field in dataclasses.fields(event)}
        self.say({"event": type(event).__name__, **fields})
        if self.join_to is not None:
            self.join(event, self.join_to)
        if then := self.upon.pop(type(event).__name__, None):
            self.command(json.dumps({**then, "leg": getattr(event, "leg", None)}))

    def join(self, event: SipEvent, target: Address) -> None:
        """Pass everything on between the two legs of a call: the smallest application there is."""
        endpoint = self.endpoint.commands
        if isinstance(event, CallOffered):
            other = endpoint.dial(
                OutgoingCall(
                    target=target,
                    request_user=event.request_user,
                    from_user=event.from_user,
                    from_display=event.from_display,
                    headers=event.headers,
                    max_forwards=event.max_forwards - 1,
                    loop_mark="test",
                    loop_marks=event.loop_marks,
                    body=event.body,
                )
            )
            self.joined[event.leg], self.joined[other] = other, event.leg
            return
        other = self.joined.get(getattr(event, "leg", LegId(0)), LegId(0))
        match event:
            case LegRang(status=status, body=body):
                endpoint.ring(other, status=status, body=body)
            case LegAnswered(body=body):
                endpoint.answer(other, body)
            case LegRefused(status=status, phrase=phrase, headers=headers):
                endpoint.refuse(other, status, phrase, headers=headers)
            case LegEnded(reason=reason):
                endpoint.hang_up(other, reason=reason)
            case OfferReceived(body=body):
                endpoint.offer(other, body)
            case OfferAnswered(body=body):
                endpoint.answer_offer(other, body)
            case OfferRefused(status=status):
                endpoint.refuse_offer(other, status)
            case InfoReceived(body=body):
                endpoint.send_info(other, body)

    def command(self, line: str) -> None:
        """Carry out one line."""
        name, args = _parsed(line)
        if name == "b2bua":
            self.join_to = _address(args["to"])
        elif name == "upon":
            self.upon[args["event"]] = args["then"]
        elif name == "dial":
            args["target"] = _address(args["target"])
            args.setdefault("body", None)
            self.say({"dialled": self.endpoint.commands.dial(OutgoingCall(**args))})
        elif name == "register":
            args["address"] = Address(host=args["address"][0], port=args["address"][1])
            if "account" in args:
                args["account"] = Credentials(user=args["account"][0], password=args["account"][1])
            self.endpoint.register(Registrar(**args))
        elif (own := self.own_commands.get(name)) is not None:
            own(**args)
        elif name == "counters":
            self.say({"counters": self.endpoint.counters, "connections": self.endpoint.connections})
        elif name == "objects":
            gc.collect()
            found = sum(type(one).__name__ == args["of"] for one in gc.get_objects())
            self.say({"objects": found})
        elif name == "renew":
            self.endpoint.renew_certificates()
            self.say({"renewed": str(self.endpoint.certificate_expires_at)})
        elif name == "stop":
            self.endpoint.close()
            self.reactor.stop()
        elif name == "close":
            self.endpoint.close(**args)
        else:
            getattr(self.endpoint.commands, name)(**args)

    def admit_or_watch(self, target: list[Any] | None = None, guests: list[list[Any]] | None = None) -> None:
        if target is not None:
            self.endpoint.watch(_address(target))
        else:
            self.endpoint.admit_guests([_address(guest) for guest in guests or ()])

    def read_commands(self) -> None:
        for line in sys.stdin:
            self.reactor.submit(self.command, line)
        self.reactor.submit(self.command, '{"do": "stop"}')


def _slow_names(seconds: float) -> None:
    """Have names that end in ``.slow`` lead to 127.0.0.1, after so long."""
    plain = socket.getaddrinfo

    def asked(host: Any, *args: Any, **more: Any) -> Any:
        if str(host).endswith(".slow"):
            time.sleep(seconds)
            host = "127.0.0.1"
        return plain(host, *args, **more)

    socket.getaddrinfo = asked


def options_of(given: dict[str, Any]) -> SipOptions:
    """Return the options that a test has given as JSON."""
    host, port = given.pop("listen", ["127.0.0.1", 0])
    if "advertised" in given:
        given["advertised"] = Address(host=given["advertised"][0], port=given["advertised"][1])
    if "trusted" in given:
        given["trusted"] = tuple(given["trusted"])
    if "peers" in given:
        given["peers"] = tuple(PeerLimits(**{**peer, "networks": tuple(peer["networks"])}) for peer in given["peers"])
    if "rules" in given:
        given["rules"] = tuple(map(_rule, given["rules"]))
    for key in ("listen_tcp", "listen_tls"):
        if key in given:
            given[key] = _address([*given[key], key.removeprefix("listen_")])
    if "tls" in given:
        given["tls"] = TlsOptions(**given["tls"])
    if "streams" in given:
        given["streams"] = StreamLimits(**given["streams"])
    if "account" in given:
        account = Credentials(user=given["account"][0], password=given.pop("account")[1])
        given["account_of"] = lambda _host: account
    if "urgent" in given:
        given["is_urgent"] = given.pop("urgent").__contains__
    return SipOptions(listen=Address(host=host, port=port), **given)


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    given = json.loads(sys.argv[1])
    if "slow_names_s" in given:
        _slow_names(given.pop("slow_names_s"))
    driver = Driver(options_of(given), _print)
    threading.Thread(target=driver.read_commands, daemon=True).start()
    driver.reactor.run()


if __name__ == "__main__":
    main()
