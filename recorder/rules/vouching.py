"""Two people count as two only if different people vouched for them (P11). Pure.

One administrator alone makes accounts of officers and managers. Two accounts that only they vouched for may be one
person, so one of the two does not confirm what the other began.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from recorder.permissions import DeniedError, Fault

VOUCHED = "people.vouched"
"""Act of the audit log: somebody who confirms changes says whose account it is."""
VOUCHED_BY = "vouched_by"
"""Detail of audit entries by which an account comes into somebody's hand: they alone vouch for it from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """Who vouched for each account.

    Attributes:
        by: By account. One that is not listed was there before this was noted, or was made by the first administrator
            while nobody else could confirm: nobody in particular vouched for it, and it counts as its own person.
    """

    by: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def maker_of(self, account: str) -> str | None:
        """Return who alone vouched for an account; None if several did, or nobody in particular."""
        known = self.by.get(account, frozenset())
        return next(iter(known)) if len(known) == 1 else None

    def problem(self, first: str, second: str) -> str | None:
        """Return why two accounts do not count as two people, as a sentence, or None if they do.

        Args:
            first: Who began an act.
            second: Who confirms it.
        """
        makers = self.maker_of(first), self.maker_of(second)
        if makers[0] == second:
            made, maker = first, second
        elif makers[1] == first:
            made, maker = second, first
        elif first != second and makers[0] is not None and makers[0] == makers[1]:
            return (
                f"Only {makers[0]} vouched for {first} and {second}, so they do not count as two people. "
                f"{_what_to_do(second, makers[0])}"
            )
        else:
            return None
        return f"Only {maker} vouched for {made}, so they do not count as two people. {_what_to_do(made, maker)}"

    def check(self, firsts: Collection[str], second: str) -> None:
        """Refuse a second person who does not count as one beside those who acted before.

        Raises:
            DeniedError: With what to do.
        """
        for first in firsts:
            if (problem := self.problem(first, second)) is not None:
                raise DeniedError(Fault.NOT_ALLOWED, problem)


NOBODY = Vouched()
"""Every account counts as its own person."""


def _what_to_do(account: str, maker: str) -> str:
    return (
        f"Another administrator or the data protection officer, not {maker}, confirms whose account it is: "
        f"`recorder users vouch {account}`."
    )


def vouching_problem(by: str, account: str, vouched: Vouched) -> str | None:
    """Return why a person cannot vouch for an account, as a sentence, or None.

    Args:
        by: Who would.
        account: For whom.
        vouched: Who vouched so far.
    """
    known = vouched.by.get(account)
    if by == account:
        return "Nobody vouches for their own account."
    if known is None:
        return f"Nobody needs to vouch for {account}: the account counts as its own person."
    if by in known:
        return f"You vouched for {account} already: somebody else has to."
    return None
