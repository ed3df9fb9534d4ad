"""`recorder webhooks`: the systems that are told of events, their deliveries, and a test delivery."""

from typing import Annotated, Any, NoReturn

import typer

from recorder.cli import completion
from recorder.cli.context import CommandContext, HomeContext, PersonContext
from recorder.cli.entries import permit
from recorder.cli.output import fail
from recorder.common.clock import utc_now
from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.webhook_delivery import TargetDelivery, secrets_in
from recorder.forwarding.webhook_http import WebhookError, post
from recorder.forwarding.webhook_queue import Delivery, DeliveryState, QueueError, WebhookQueue
from recorder.forwarding.webhook_signature import SecretError, headers_of
from recorder.permissions import Act
from recorder.rules.webhook_events import trial_event
from storage.errors import KeyProblemError
from storage.rows import time_to_json

_TARGETS = [
    ("name", "Name"), ("host", "Host"), ("events", "Events"), ("waiting", "Waiting"), ("oldest_at", "Since"),
    ("given_up", "Given up"),
]  # fmt: skip
_LOG = [
    ("queued_at", "Queued"), ("webhook", "Webhook"), ("type", "Event"), ("about", "About"), ("state", "State"),
    ("tries", "Tries"), ("status", "Status"), ("problem", "Problem"),
]  # fmt: skip
_MOST = 10_000


def list_(context: PersonContext) -> None:
    """Show the configured webhooks, and how many deliveries wait for each."""
    _permit(context)
    queue = WebhookQueue(context.home.webhooks)
    rows = [_target(one, queue) for one in context.config.webhook]
    context.print_rows(rows, _TARGETS, empty="no webhook is configured: see [[webhook]] in docs/configuration.md")


def log(
    context: PersonContext,
    webhook: Annotated[str | None, typer.Option("--webhook", metavar="NAME", help="Deliveries to one only.")] = None,
    state: Annotated[DeliveryState | None, typer.Option("--state", help="Deliveries in this state only.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST, help="How many, newest first.")] = 100,
) -> None:
    """Show deliveries, newest first. What is older than [retention] delivery_days is deleted."""
    _permit(context)
    queue = WebhookQueue(context.home.webhooks)
    try:
        found = queue.log(target=webhook, state=state, most=limit) if queue.exists else []
    except QueueError as error:
        fail(str(error))
    context.print_rows([_line(one) for one in found], _LOG, empty="no deliveries")


def test(
    context: HomeContext,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A webhook.", autocompletion=completion.webhooks)],
) -> None:
    """Send a signed test event now, and show the answer. Exit 1 if it was not accepted."""
    target = next((one for one in context.config.webhook if one.name == name), None)
    if target is None:
        known = ", ".join(one.name for one in context.config.webhook) or "none"
        fail(f"there is no webhook {name!r}: configured are {known}", 2)
    now = utc_now()
    event = trial_event(name, now)
    try:
        headers = headers_of(secrets_in(target), event=event.id, at_s=int(now.timestamp()), body=event.body)
        status = post(target, event.body, headers)
    except (WebhookError, SecretError, KeyProblemError) as error:
        _refused(context, str(error), getattr(error, "status", None))
    context.tell({"accepted": True, "status": status, "event": event.id}, f"{target.host} answered {status}")


def _refused(context: CommandContext, problem: str, status: int | None) -> NoReturn:
    if context.json:
        context.tell({"accepted": False, "status": status, "problem": problem}, "")
    fail(problem)


def _permit(context: CommandContext) -> None:
    person = context.sign_in("the webhooks")
    details = {"what": "webhooks"}
    permit(context.home, Act.SEE_SYSTEM, person, reason="", subject="", operator=None, details=details)


def _target(target: WebhookOptions, queue: WebhookQueue) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": target.name, "host": target.host, "events": ", ".join(target.events) or "all",
        "networks": list(target.networks), "waiting": 0, "oldest_at": None, "given_up": 0,
    }  # fmt: skip
    if queue.exists:
        try:
            state = TargetDelivery(target, queue, now=utc_now).state
        except QueueError as error:
            fail(str(error))
        shown |= {"waiting": state.waiting, "oldest_at": state.oldest_at or None, "given_up": state.given_up}
    return shown


def _line(one: Delivery) -> dict[str, Any]:
    return {
        "queued_at": time_to_json(one.made_at), "webhook": one.target, "type": one.type, "about": one.about,
        "event": one.id, "happened_at": one.at, "state": one.state.value, "tries": one.tries,
        "tried_at": time_to_json(one.changed_at) if one.tries else None, "status": one.status,
        "problem": one.problem,
    }  # fmt: skip
