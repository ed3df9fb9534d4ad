"""Digest answers, against the examples of the RFCs and what servers send."""

import pytest

from sip.digest import Challenge, Credentials, answer, challenge_of, strongest

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def asked(text: str) -> Challenge:
    found = challenge_of(text, is_proxy=False)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = asked(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}", '
        f'opaque="{OPAQUE}"'
    )
    account = Credentials(user="Mufasa", password="Circle of Life")
    said = answer(challenge, account, method="GET", uri="/dir/index.html", count=1, cnonce=CNONCE)
    assert f'response="{response}"' in said
    assert f'opaque="{OPAQUE}"' in said
    assert f"algorithm={algorithm}" in said
    assert "qop=auth, nc=00000001" in said
    assert 'uri="/dir/index.html"' in said


def test_example_of_rfc_2617() -> None:
    challenge = asked(
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    account = Credentials(user="Mufasa", password="Circle Of Life")
    said = answer(challenge, account, method="GET", uri="/dir/index.html", count=1, cnonce="0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in said


def test_without_qop_as_in_rfc_2069() -> None:
    challenge = asked('Digest realm="a", nonce="b"')
    said = answer(challenge, Credentials(user="u", password="p"), method="INVITE", uri="sip:x", count=3, cnonce="c")
    assert "qop" not in said
    assert "nc=" not in said
    # md5(md5("u:a:p") + ":b:" + md5("INVITE:sip:x")), worked out by md5sum
    assert 'response="13b324100daf765f584ff02dbf7b19c9"' in said


def test_quotes_in_names_are_escaped_and_read() -> None:
    challenge = asked('Digest realm="a \\"b\\", c", nonce="n,=", stale=TRUE')
    assert challenge.realm == 'a "b", c'
    assert challenge.nonce == "n,="
    assert challenge.is_stale
    said = answer(challenge, Credentials(user='x"y', password="p"), method="BYE", uri="sip:x", count=1, cnonce="c")
    assert 'username="x\\"y"' in said
    assert 'realm="a \\"b\\", c"' in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic realm=x",
        "Digest",
        'Digest realm="x"',
        'Digest nonce="x"',
        'Digest realm="x", nonce="y", algorithm=AKAv1-MD5',
        'Digest realm="x", nonce="y", qop="auth-int"',
        'Digest realm="x, nonce="y',
    ],
)
def test_what_cannot_be_answered(text: str) -> None:
    assert challenge_of(text, is_proxy=False) is None


def test_the_strongest_of_each_realm_is_answered() -> None:
    weak = asked('Digest realm="a", nonce="1", algorithm=MD5')
    strong = asked('Digest realm="a", nonce="2", algorithm=SHA-256')
    other = asked('Digest realm="b", nonce="3"')
    assert strongest([weak, strong, other]) == [strong, other]


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Credentials(user="u", password="secret"))
