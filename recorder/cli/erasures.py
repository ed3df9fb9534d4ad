"""`recorder erasures`: orders to erase a span of a recording, and decisions on them."""

from typing import Annotated

import typer

from recorder.cli import completion
from recorder.cli.backup_carry import carry_deletions
from recorder.cli.context import CommandContext, KeysContext, PersonContext
from recorder.cli.entries import permit
from recorder.cli.erase import answer, parts_of
from recorder.cli.options import ReasonOption
from recorder.cli.records import ORDER_COLUMNS, opened_index
from recorder.permissions import Act, Person
from recorder.recordings.searching import knows, shown
from recorder.retention.erasure_decisions import decide_erasure
from recorder.retention.erasure_repositories import order_to_json
from recorder.rules.authorisation import knows_all
from recorder.rules.call_parts import is_withheld
from storage.erasures import Erasures
from storage.errors import NotFoundError
from storage.index import Index
from storage.retention_types import ErasureOrder

LISTED = 100
"""Number of orders that are listed, newest first."""

OrderArgument = Annotated[
    str, typer.Argument(metavar="ORDER", help="From `recorder erasures list`.", autocompletion=completion.orders)
]


def list_orders(context: PersonContext) -> None:
    """List the newest orders to erase that you may see."""
    with opened_index(context) as index:
        person = context.sign_in("erasing")
        permit(context.home, Act.ERASE, person, reason="shown", subject="", operator=None, details={"listed": "orders"})
        newest = Erasures(index.database).newest(LISTED)
        orders = [order_to_json(order) for order in newest if _is_known(index, order, person)]
    context.print_rows(orders, ORDER_COLUMNS, empty="there are no orders to erase")


def confirm(context: KeysContext, order: OrderArgument, reason: ReasonOption = "") -> None:
    """Confirm an order by somebody else, and carry it out if the private keys are here."""
    _decide(context, order, reason, is_confirmed=True)


def decline(context: KeysContext, order: OrderArgument, reason: ReasonOption = "") -> None:
    """Decline an order by somebody else; nothing is erased."""
    _decide(context, order, reason, is_confirmed=False)


def _decide(context: CommandContext, order: str, reason: str, *, is_confirmed: bool) -> None:
    with opened_index(context) as index:
        person = context.sign_in("erasing")
        repos, eraser = parts_of(context, index)
        decided = decide_erasure(repos, person, order, confirm=is_confirmed, reason=reason)
        answer(eraser, index, decided, json=context.json)
    carry_deletions(context)


def _is_known(index: Index, order: ErasureOrder, person: Person) -> bool:
    """Tell whether a person may see an order; orders on deleted recordings only with access to all recordings."""
    try:
        row = index.get(order.recording)
    except NotFoundError:
        return knows_all(person)
    return knows(person, row) and not is_withheld(shown(person, row), order.start_s, order.end_s)
