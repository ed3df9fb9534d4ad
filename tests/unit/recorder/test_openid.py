"""Signing in by an OpenID provider: what is configured, what a token must say, and whom it names."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from recorder.access.openid.answers import (
    AnswerRefusedError,
    Expected,
    ProviderDownError,
    read_discovered,
    read_keys,
    verified_claims,
)
from recorder.access.openid.claims import identity_of
from recorder.access.openid.starts import MOST, WAIT_S, Start, Starts
from recorder.config.openid_options import OpenIdOptions
from recorder.config.reading import read_config
from recorder.config.toml_tables import ConfigError
from tests.helpers.false_provider import half_hash, hmac_signed, unsigned

ISSUER, CLIENT, NONCE, ACCESS = "https://id.council.example", "recorder", "a nonce", "an access token"
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
KEY = RSAKey.generate_key(2048, {"kid": "1"})
CURVE = ECKey.generate_key("P-256", {"kid": "2"})
KEYS = KeySet([RSAKey.import_key(KEY.as_dict(private=False)), ECKey.import_key(CURVE.as_dict(private=False))])
EXPECTED = Expected(issuer=ISSUER, client_id=CLIENT, nonce=NONCE, access_token=ACCESS, max_age_s=None)
CLAIMS: Mapping[str, Any] = {
    "iss": ISSUER, "aud": CLIENT, "sub": "0815", "iat": NOW_S, "exp": NOW_S + 300, "nonce": NONCE,
    "at_hash": half_hash(ACCESS),
}  # fmt: skip
GONE = object()


def claims(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**CLAIMS, **changes}.items() if value is not GONE}


def token(said: Mapping[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "1", **header}, dict(said), key, ["RS256", "RS384", "ES256"])


@pytest.mark.parametrize("more", [{}, {"aud": [CLIENT]}, {"azp": CLIENT}, {"at_hash": GONE}, {"exp": NOW_S - 59}])
def test_a_good_token_is_believed(more: dict[str, Any]) -> None:
    assert verified_claims(token(claims(**more)), KEYS, EXPECTED, NOW)["sub"] == "0815"


def test_elliptic_curves_are_fine() -> None:
    said = token(claims(), CURVE, alg="ES256", kid="2")
    assert verified_claims(said, KEYS, EXPECTED, NOW)["sub"] == "0815"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://id.council.example/"}, {"iss": GONE}, {"iss": [ISSUER]}, {"iss": None},
        {"aud": "another"}, {"aud": GONE}, {"aud": []}, {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": CLIENT}, {"aud": {CLIENT: 1}}, {"azp": "another"},
        {"sub": GONE}, {"sub": ""}, {"sub": 815}, {"sub": "x" * 256}, {"sub": "a\nb"}, {"sub": "\u0130"},
        {"nonce": GONE}, {"nonce": "another"}, {"nonce": None}, {"nonce": [NONCE]},
        {"exp": GONE}, {"exp": NOW_S - 60}, {"exp": "never"}, {"exp": float("nan")}, {"exp": True},
        {"iat": GONE}, {"iat": NOW_S + 120}, {"nbf": NOW_S + 120}, {"at_hash": "another"}, {"at_hash": 1},
    ],
)  # fmt: skip
def test_what_a_token_must_not_say(changes: dict[str, Any]) -> None:
    with pytest.raises(AnswerRefusedError):
        verified_claims(token(claims(**changes)), KEYS, EXPECTED, NOW)


@pytest.mark.parametrize(
    "forged",
    [
        unsigned(dict(CLAIMS)), unsigned(dict(CLAIMS), kid="1"), unsigned(dict(CLAIMS), alg="nOnE", kid="1"),
        hmac_signed(dict(CLAIMS), KEY.as_pem(private=False), kid="1"), hmac_signed(dict(CLAIMS), b"", kid="1"),
        token(CLAIMS, RSAKey.generate_key(2048)), token(CLAIMS, kid="2"), token(CLAIMS, kid="3"),
        token(CLAIMS, CURVE, alg="ES256"), token(CLAIMS)[:-4], token(CLAIMS).rpartition(".")[0],
        "", ".", "..", "a.b.c", "é", "e30.e30.", "." * 100_000, "[" * 100_000,
    ],
    ids=lambda _: "token",
)  # fmt: skip
def test_who_must_have_signed_a_token(forged: str) -> None:
    with pytest.raises(AnswerRefusedError):
        verified_claims(forged, KEYS, EXPECTED, NOW)


@pytest.mark.parametrize("auth_time", [GONE, NOW_S - 700, 0, "yesterday", float("nan"), None])
def test_when_they_signed_in(auth_time: Any) -> None:
    strict = Expected(issuer=ISSUER, client_id=CLIENT, nonce=NONCE, access_token=ACCESS, max_age_s=600)
    verified_claims(token(claims(auth_time=NOW_S - 600)), KEYS, strict, NOW)
    with pytest.raises(AnswerRefusedError):
        verified_claims(token(claims(auth_time=auth_time)), KEYS, strict, NOW)


@pytest.mark.parametrize("document", [{}, {"keys": 1}, {"keys": [1]}, {"keys": [{}]}, {"keys": {"a": 1}}])
def test_keys_that_are_none(document: dict[str, Any]) -> None:
    try:
        keys = read_keys(document)
    except ProviderDownError:
        return
    with pytest.raises(AnswerRefusedError):
        verified_claims(token(CLAIMS), keys, EXPECTED, NOW)


def test_where_a_provider_says_it_is() -> None:
    said = {
        "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/go?tenant=1", "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/keys",
    }  # fmt: skip
    assert read_discovered(said, ISSUER).authorization_endpoint.endswith("?tenant=1")
    for key in said:
        for value in (
            None, 1, "http://id.council.example/x", "http://127.0.0.1/x", "javascript:alert(1)", "//x", "https://",
            "https://a b/",
        ):  # fmt: skip
            with pytest.raises(ProviderDownError):
                read_discovered({**said, key: value}, ISSUER)


# --- whom it names


@pytest.mark.parametrize(
    ("said", "options", "account"),
    [
        ({"preferred_username": "alice"}, {}, "alice"),
        ({"preferred_username": "Alice"}, {}, "alice"),
        ({"preferred_username": "\u212aarl"}, {}, None),  # the Kelvin sign, which is no K
        ({"preferred_username": ["alice"]}, {}, None),
        ({}, {}, None),
        ({"upn": "alice@council.example"}, {"account_claim": "upn"}, "alice@council.example"),
        ({"upn": "alice@Council.example"}, {"account_claim": "upn", "account_domain": "council.example"}, "alice"),
        ({"upn": "alice@evil.example"}, {"account_claim": "upn", "account_domain": "council.example"}, None),
        ({"upn": "alice@council.example@evil.example"},
         {"account_claim": "upn", "account_domain": "council.example"}, None),
        ({"upn": "alice"}, {"account_claim": "upn", "account_domain": "council.example"}, None),
        ({"email": "alice@council.example"}, {"account_claim": "email", "account_domain": "council.example"}, None),
        ({"email": "alice@council.example", "email_verified": "true"},
         {"account_claim": "email", "account_domain": "council.example"}, None),
        ({"email": "alice@council.example", "email_verified": True},
         {"account_claim": "email", "account_domain": "council.example"}, "alice"),
        ({"preferred_username": "alice"}, {"account_claim": None}, None),
    ],
)  # fmt: skip
def test_the_account_that_claims_lead_to(said: dict[str, Any], options: dict[str, Any], account: str | None) -> None:
    identity = identity_of({**CLAIMS, **said}, OpenIdOptions(**options))
    assert (identity.issuer, identity.subject, identity.account) == (ISSUER, "0815", account)


@pytest.mark.parametrize(
    ("said", "options", "is_trusted"),
    [
        ({"amr": ["pwd", "mfa"]}, {"amr_values": ("mfa",)}, True),
        ({"amr": ["pwd"]}, {"amr_values": ("mfa",)}, False),
        ({"amr": "mfa"}, {"amr_values": ("mfa",)}, False),
        ({"amr": [["mfa"], {}]}, {"amr_values": ("mfa",)}, False),
        ({"acr": "high"}, {"acr_values": ("high",)}, True),
        ({"acr": ["high"]}, {"acr_values": ("high",)}, False),
        ({"acr": "high", "amr": ["mfa"]}, {}, False),
        ({}, {"acr_values": ("high",), "amr_values": ("mfa",)}, False),
    ],
)
def test_a_second_factor_is_what_is_configured(said: dict[str, Any], options: dict[str, Any], is_trusted: bool) -> None:
    assert identity_of({**CLAIMS, **said}, OpenIdOptions(**options)).has_second_factor is is_trusted


# --- sign-ins that wait


def test_a_start_is_good_once_for_ten_minutes_and_in_its_browser() -> None:
    now = [0.0]
    starts = Starts(lambda: now[0])
    one, two, three = Start(), Start(), Start()
    for start in (one, two, three):
        starts.keep(start)
    assert starts.take(one.state, one.browser) is one
    assert starts.take(one.state, one.browser) is None
    assert starts.take(two.state, one.browser) is None
    assert starts.take(two.state, two.browser) is None, "it was tried elsewhere"
    now[0] = WAIT_S
    assert starts.take(three.state, three.browser) is None
    assert starts.take("", "") is None
    assert starts.take("\udcff", "\udcff") is None
    assert one.state not in repr(one)


def test_no_more_starts_are_kept_than_there_is_room_for() -> None:
    starts = Starts(time.monotonic)
    kept = [Start() for _ in range(MOST + 1)]
    for start in kept:
        starts.keep(start)
    assert starts.take(kept[0].state, kept[0].browser) is None
    assert starts.take(kept[1].state, kept[1].browser) is kept[1]
    assert starts.take(kept[-1].state, kept[-1].browser) is kept[-1]


# --- the section

GOOD = """\
[console]
behind_tls_proxy = true

[openid]
issuer = "https://id.council.example"
client_id = "recorder"
console_url = "https://recorder.council.example"
"""


def complaint(folder: Path, text: str) -> str:
    path = folder / "recorder.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_config(path)
    return str(error.value).removeprefix(f"{path}, ")


def test_a_section_that_works(tmp_path: Path) -> None:
    path = tmp_path / "recorder.toml"
    path.write_text(GOOD)
    assert read_config(path).openid.callback == "https://recorder.council.example/sign-in/openid/callback"
    path.write_text(GOOD.replace('council.example"\n', 'council.example/"\n'))
    assert read_config(path).openid.callback == "https://recorder.council.example/sign-in/openid/callback"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('"https://id.council.example"', '"http://id.council.example"', 5, "is not an issuer"),
        ('"https://id.council.example"', '"https://id.council.example?x=1"', 5, "is not an issuer"),
        ('"https://id.council.example"', '"off"', 6, "needs issuer"),
        ('client_id = "recorder"', "", 5, "needs client_id"),
        ('console_url = "https://recorder.council.example"', "", 5, "needs console_url"),
        ("https://recorder.council.example", "https://recorder.council.example/console", 7, "is not the address"),
        ("https://recorder.council.example", "http://recorder.council.example", 7, "is not the address"),
        ("behind_tls_proxy = true", "", 7, "behind_tls_proxy"),
        ('client_id = "recorder"', 'client_id = "recorder"\nscopes = ["profile"]', 7, 'must have "openid"'),
        ('client_id = "recorder"', 'client_id = "recorder"\nscopes = ["openid", "a b"]', 7, "without spaces"),
        ('client_id = "recorder"', 'client_id = "recorder"\naccount_claim = "email"', 7, '"email" in scopes'),
        ('client_id = "recorder"', 'client_id = "recorder"\naccount_domain = "@x"', 7, "what follows the @"),
        ('client_id = "recorder"', 'client_id = "recorder"\nmax_age_s = 0', 7, "must be over 0"),
        ('client_id = "recorder"', 'client_id = "recorder"\nbutton = " "', 7, "1 to 60 characters"),
        ('client_id = "recorder"', 'client_id = "recorder"\nsecret = "x"', 7, "unknown key 'secret'"),
        ('client_id = "recorder"', 'client_id = "recorder"\npasswords_too = "no"', 7, "true or false"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    assert GOOD.count(old) == 1
    said = complaint(tmp_path, GOOD.replace(old, new))
    assert re.match(rf"line {line}: .*{re.escape(words)}", said), said


def test_passwords_are_not_turned_off_without_a_provider(tmp_path: Path) -> None:
    assert "nobody could sign in" in complaint(tmp_path, "[openid]\npasswords_too = false\n")
