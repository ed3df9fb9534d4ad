"""Leave to hear recordings, asked for and granted by the rules."""

from datetime import datetime

from recorder.access.listening.asking import ask, decide
from recorder.access.listening.repositories import AccessRepositories
from recorder.access.listening.requests import Requests
from recorder.rules.requesting import AccessKind, AccessRequest, Category, RequestState, RequestWish, deciders
from storage.types import RecordingId


def give_leave(
    repos: AccessRepositories,
    account: str,
    *recordings: str,
    leave: AccessKind = AccessKind.COPY,
    days: int | None = None,
) -> AccessRequest:
    """Have somebody ask, and have whoever decides grant it."""
    person = repos.people.find(account)
    assert person is not None
    wish = RequestWish(
        recordings=tuple(map(RecordingId, recordings)), category=Category.COMPLAINT, reason="complaint 17", leave=leave
    )
    request = ask(repos, person, wish)
    decider = repos.people.find(min(deciders(person, repos.approvers)))
    assert decider is not None
    return decide(repos, decider, request.id, granted=True, days=days)


def keep_leave(
    requests: Requests, account: str, *recordings: str, until: datetime, category: Category = Category.COMPLAINT
) -> None:
    """Keep granted leave to take copies as it is kept.

    Args:
        requests: Where it is kept.
        account: Whose it is.
        recordings: What may be heard.
        until: Until when.
        category: Of the purpose. An elected member whom the caller has authorised needs no team of the recording.
    """
    wish = RequestWish(
        recordings=tuple(map(RecordingId, recordings)), category=category, reason="complaint 17",
        leave=AccessKind.COPY, reference="letter of 1 November",
    )  # fmt: skip
    request = requests.new(account, wish)
    requests.keep(request)
    assert requests.settle(request, RequestState.GRANTED, by="lena", until=until)
