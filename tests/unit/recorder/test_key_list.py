"""The site's key list: which list a node follows, and which it refuses, whoever can write the table."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.common.home import Home
from recorder.site_keys.authority import ensure_authority, load_authority
from recorder.site_keys.key_list import (
    KeyList,
    RefusedListError,
    SignedList,
    TrustedSigner,
    check_list,
    check_successor,
    link,
    parse_list,
    revoked_serials,
    sign_list,
)
from storage import crypto
from tests.helpers.site_homes import NOW

FIRST, SECOND, THIRD, STRANGER = (crypto.signing_pair(bytes([seed]) * 32) for seed in range(1, 5))
KEY, OTHER = bytes([7]) * 32, bytes([8]) * 32


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("site"))
    ensure_authority(made, "Town", NOW)
    return made


@pytest.fixture
def content(home: Home) -> KeyList:
    authority = load_authority(home)
    return KeyList(
        number=5, signers=(TrustedSigner(public=FIRST[0]),), epochs={"2026-11": KEY},
        nodes={"north": {"public": KEY.hex(), "removed_at": None}}, authority=authority.pem,
        revoked=authority.revoke({17: NOW}, 1, NOW),
    )  # fmt: skip


def received(content: KeyList, secret: bytes = FIRST[1]) -> SignedList:
    """Return a list as a node reads it from the table."""
    made = sign_list(content, secret)
    return parse_list(made.text, made.signature)


def chain(*pairs: tuple[bytes, bytes]) -> tuple[TrustedSigner, ...]:
    """Return signing keys of which each is signed by the one before."""
    steps = itertools.pairwise(pairs)
    return (TrustedSigner(public=pairs[0][0]), *(link(new[0], old[0], old[1]) for old, new in steps))


def test_a_list_is_read_as_it_was_written(content: KeyList) -> None:
    found = received(content)
    assert found.content == content
    check_list(found, FIRST[0])
    assert (found.signed_by, found.next_signer) == (FIRST[0], None)
    assert revoked_serials(found.content) == {17}


def test_a_list_by_another_key_is_refused(content: KeyList) -> None:
    with pytest.raises(RefusedListError, match="its signature is wrong"):
        check_list(received(content, STRANGER[1]), FIRST[0])
    with pytest.raises(RefusedListError, match="signed by another key than this machine trusts"):
        check_list(received(replace(content, signers=chain(STRANGER)), STRANGER[1]), FIRST[0])
    bent = received(content)
    with pytest.raises(RefusedListError, match="its signature is wrong"):
        check_list(parse_list(bent.text.replace(KEY.hex(), OTHER.hex()), bent.signature), FIRST[0])


def test_a_chain_of_signing_keys_leads_from_any_known_one(content: KeyList) -> None:
    found = received(replace(content, signers=chain(FIRST, SECOND, THIRD)), THIRD[1])
    for known in (FIRST, SECOND, THIRD):
        check_list(found, known[0])
    coming = received(replace(content, signers=chain(FIRST, SECOND)), FIRST[1])
    check_list(coming, FIRST[0])
    assert (coming.signed_by, coming.next_signer) == (FIRST[0], SECOND[0])
    old = received(replace(content, signers=chain(FIRST, SECOND, THIRD)), FIRST[1])
    with pytest.raises(RefusedListError, match="its signature is wrong"):
        check_list(old, SECOND[0])


def test_a_key_that_was_exchanged_signs_no_list(content: KeyList) -> None:
    """It may have been stolen, and nodes would trust it again, for acts too."""
    found = received(replace(content, number=6, signers=chain(FIRST, SECOND)), FIRST[1])
    check_list(found, FIRST[0])
    with pytest.raises(RefusedListError, match="a key that was exchanged"):
        check_list(found, SECOND[0])
    longer = received(replace(content, number=6, signers=chain(FIRST, SECOND, THIRD)), SECOND[1])
    check_list(longer, SECOND[0])
    with pytest.raises(RefusedListError, match="a key that was exchanged"):
        check_list(longer, THIRD[0])


def test_a_key_that_the_one_before_did_not_sign_is_refused(content: KeyList) -> None:
    for signature in ("", "00" * 64, "no hex", link(STRANGER[0], SECOND[0], SECOND[1]).signature):
        signers = (*chain(FIRST, SECOND), TrustedSigner(public=STRANGER[0], signature=signature))
        found = received(replace(content, signers=signers), STRANGER[1])
        if signature == link(STRANGER[0], SECOND[0], SECOND[1]).signature:
            check_list(found, FIRST[0])
            continue
        with pytest.raises(RefusedListError, match="not signed by the one before"):
            check_list(found, FIRST[0])
    skipped = (TrustedSigner(public=FIRST[0]), link(THIRD[0], SECOND[0], SECOND[1]))
    with pytest.raises(RefusedListError, match="not signed by the one before"):
        check_list(received(replace(content, signers=skipped), THIRD[1]), FIRST[0])


def test_revocations_of_another_authority_are_refused(content: KeyList, tmp_path: Path) -> None:
    other = ensure_authority(Home(tmp_path), "Town", NOW)
    forged = replace(content, revoked=other.revoke({}, 9, NOW))
    with pytest.raises(RefusedListError, match="not signed by the site's authority"):
        check_list(received(forged), FIRST[0])
    with pytest.raises(RefusedListError, match="certificates cannot be read"):
        check_list(received(replace(content, revoked="")), FIRST[0])


def with_epoch(content: KeyList, _home: Home) -> KeyList:
    return replace(content, number=6, epochs={"2026-11": OTHER})


def with_node(content: KeyList, _home: Home) -> KeyList:
    return replace(content, number=6, nodes={"north": {"public": OTHER.hex(), "removed_at": None}})


def without_node(content: KeyList, _home: Home) -> KeyList:
    return replace(content, number=6, nodes={})


def not_revoked(content: KeyList, home: Home) -> KeyList:
    return replace(content, number=6, revoked=load_authority(home).revoke({18: NOW}, 2, NOW))


def older(content: KeyList, _home: Home) -> KeyList:
    return replace(content, number=4)


def same_number(content: KeyList, _home: Home) -> KeyList:
    return replace(content, epochs={"2026-11": KEY, "2026-12": KEY})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (with_epoch, "another key for epoch 2026-11"), (with_node, "another key for node north"),
        (without_node, "another key for node north, or none"), (not_revoked, "revoked are no longer"),
        (older, "it is older, number 4"), (same_number, "two different lists of number 5"),
    ],
)  # fmt: skip
def test_a_signed_list_does_not_take_back_what_an_earlier_one_said(
    content: KeyList, home: Home, change: Callable[[KeyList, Home], KeyList], why: str
) -> None:
    found = received(change(content, home))
    check_list(found, FIRST[0])
    with pytest.raises(RefusedListError, match=why):
        check_successor(found, received(content))


def test_a_list_may_add_and_an_epoch_may_end(content: KeyList, home: Home) -> None:
    nodes = {**content.nodes, "south": {"public": OTHER.hex(), "removed_at": None}}
    revoked = load_authority(home).revoke({17: NOW, 18: NOW}, 2, NOW)
    newer = replace(content, number=9, epochs={"2026-12": OTHER}, nodes=nodes, revoked=revoked)
    check_successor(received(newer), received(content))
    check_successor(received(content), received(content))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"number":5', '"number":"5"'), ('"number":5', '"number":5.0'), ('"2026-11"', '"../../x"'),
        ('"number":5', '"number":true'), (KEY.hex(), "00"), (FIRST[0].hex(), "zz"), ('"north"', '"north":1,"south"'),
        ('"signers":[', '"signers":[1,'), ('"nodes":{', '"nodes":1,"x":{'), ("{", "["),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused_with_a_sentence(content: KeyList, old: str, new: str) -> None:
    made = sign_list(content, FIRST[1])
    assert old in made.text
    with pytest.raises(RefusedListError, match="the key list in the database"):
        parse_list(made.text.replace(old, new), made.signature)
