"""Client of the OpenID provider: the authorization code flow with PKCE (OpenID Connect Core, RFC 7636).

Authlib builds the requests and validates the ID token, httpx2 sends them. It runs on the console's event loop without
blocking a thread; every exchange ends after DEADLINE_S.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import KeySet

from recorder.access.openid.answers import (
    AnswerRefusedError,
    Discovered,
    Expected,
    ProviderDownError,
    read_discovered,
    read_json,
    read_keys,
    verified_claims,
)
from recorder.access.openid.claims import identity_of
from recorder.access.openid.starts import Start
from recorder.config.openid_options import OpenIdOptions
from recorder.rules.signing_in import OpenIdIdentity
from storage.errors import KeyProblemError
from storage.key_files import read_secret

DEADLINE_S = 10.0
"""Longest exchange, seconds: a person waits for the page."""
ANSWER_S = 5.0
MOST_BYTES = 1 << 20
KNOWN_FOR_S = 3600.0
"""How long endpoints and keys are cached, seconds."""
KEYS_AGAIN_S = 10.0
"""Shortest time until keys are fetched again because a token names another key, seconds."""
DOWN_FOR_S = 3.0
"""How long the provider is not asked after a failure, seconds; sign-ins fail at once meanwhile."""
AT_ONCE = 16
"""Simultaneous exchanges with the provider."""


class Provider:
    """One OpenID provider.

    Args:
        options: The checked section ``[openid]``, with an issuer.
        now: Returns the time, aware, UTC.
        clock: Returns seconds that never go back.
    """

    def __init__(
        self, options: OpenIdOptions, *, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic
    ) -> None:
        assert options.issuer is not None
        assert options.client_id is not None
        self.options = options
        self._issuer, self._client_id = options.issuer, options.client_id
        self._now = now
        self._clock = clock
        self._asking = asyncio.Lock()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._trusted: ssl.SSLContext | None = None
        self._discovered: tuple[float, Discovered] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._down_until = 0.0

    async def address(self, start: Start) -> str:
        """Return the address that a browser opens to sign in.

        Raises:
            ProviderDownError: The provider's endpoints are not available.
        """
        async with self._conversation() as client:
            where = await self._where(client)
        return str(
            prepare_grant_uri(
                where.authorization_endpoint,
                client_id=self._client_id,
                response_type="code",
                redirect_uri=self.options.callback,
                scope=" ".join(self.options.scopes),
                state=start.state,
                nonce=start.nonce,
                code_challenge=create_s256_code_challenge(start.verifier),
                code_challenge_method="S256",
                acr_values=" ".join(self.options.acr_values) or None,
                max_age=self.options.max_age_s,
                # To connect an account, the person must sign in anew: on a shared computer another person may still
                # be signed in at the provider.
                prompt="login" if start.account is not None else None,
            )
        )

    async def identify(self, start: Start, code: str, issuer: str | None) -> OpenIdIdentity:
        """Return the identity of the person who signed in at the provider.

        Args:
            start: The sign-in that this response belongs to.
            code: The code in the response.
            issuer: The parameter ``iss`` in the response (RFC 9207), or None.

        Raises:
            ProviderDownError: The provider does not answer, or does not accept this client.
            AnswerRefusedError: Its response cannot be trusted.
        """
        async with self._conversation() as client:
            where = await self._where(client)
            if issuer is None and not where.names_itself:
                issuer = self._issuer
            if issuer != self._issuer:
                raise AnswerRefusedError("the response is from another issuer")
            tokens = await self._redeem(client, where, start, code)
            id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
            if not isinstance(id_token, str) or not isinstance(access_token, str):
                raise AnswerRefusedError("the response has no ID token")
            expected = Expected(
                issuer=self._issuer,
                client_id=self._client_id,
                nonce=start.nonce,
                access_token=access_token,
                max_age_s=self.options.max_age_s,
            )
            claims = await self._verified(client, where, id_token, expected)
            claims |= await self._account_claims(client, where, claims, access_token)
        return identity_of(claims, self.options)

    async def look(self) -> None:
        """Fetch the provider's endpoints and keys, as a sign-in would.

        Raises:
            ProviderDownError: They are not available.
        """
        async with self._conversation() as client:
            await self._known_keys(client, await self._where(client))
        await asyncio.to_thread(self._secret)

    # --- requests

    async def _where(self, client: httpx2.AsyncClient) -> Discovered:
        async with self._asking:  # one request serves all that wait
            now = self._clock()
            if self._discovered is not None and now - self._discovered[0] < KNOWN_FOR_S:
                return self._discovered[1]
            if now < self._down_until:
                raise ProviderDownError("it did not answer a moment ago")
            try:
                address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
                found = read_discovered(await self._ask(client, "GET", address), self._issuer)
            except BaseException:
                self._down_until = self._clock() + DOWN_FOR_S
                raise
            self._discovered = (now, found)
            return found

    async def _known_keys(self, client: httpx2.AsyncClient, where: Discovered, *, again: bool = False) -> KeySet:
        now = self._clock()
        age_s = now - self._keys[0] if self._keys is not None else KNOWN_FOR_S
        if self._keys is not None and age_s < (KEYS_AGAIN_S if again else KNOWN_FOR_S):
            return self._keys[1]
        self._keys = (now, read_keys(await self._ask(client, "GET", where.jwks_uri)))
        return self._keys[1]

    async def _verified(
        self, client: httpx2.AsyncClient, where: Discovered, id_token: str, expected: Expected
    ) -> dict[str, Any]:
        keys = await self._known_keys(client, where)
        try:
            return verified_claims(id_token, keys, expected, self._now())
        except AnswerRefusedError:
            newer = await self._known_keys(client, where, again=True)  # the provider may have new keys
            if newer is keys:
                raise
            return verified_claims(id_token, newer, expected, self._now())

    async def _redeem(
        self, client: httpx2.AsyncClient, where: Discovered, start: Start, code: str
    ) -> Mapping[str, Any]:
        secret = await asyncio.to_thread(self._secret)
        # Providers differ in how identifier and secret are escaped in a header, but not in a body.
        how = "client_secret_post" if where.takes_secret_in_body else "client_secret_basic"
        address, headers, body = ClientAuth(self._client_id, secret, how if secret is not None else "none").prepare(
            "POST",
            where.token_endpoint,
            {"Content-Type": "application/x-www-form-urlencoded"},
            prepare_token_request(
                "authorization_code", redirect_uri=self.options.callback, code=code, code_verifier=start.verifier
            ),
        )
        return await self._ask(client, "POST", address, headers=headers, content=body)

    async def _account_claims(
        self, client: httpx2.AsyncClient, where: Discovered, claims: Mapping[str, Any], access_token: str
    ) -> dict[str, Any]:
        """Return the account claim from userinfo, for providers that do not put it into the ID token."""
        account_claim = self.options.account_claim
        if account_claim is None or account_claim in claims or where.userinfo_endpoint is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        more = await self._ask(client, "GET", where.userinfo_endpoint, headers=headers)
        if more.get("sub") != claims["sub"]:
            raise AnswerRefusedError("userinfo is about another person")
        return {key: more[key] for key in (account_claim, "email_verified") if key in more}

    def _secret(self) -> str | None:
        """Return the current client secret; blocks."""
        if self.options.client_secret_file is None:
            return None
        try:
            lines = read_secret(Path(self.options.client_secret_file)).decode().splitlines()
        except (KeyProblemError, UnicodeDecodeError) as error:
            raise ProviderDownError(f"client_secret_file in [openid]: {error}") from error
        if not lines or not lines[0]:
            raise ProviderDownError("client_secret_file in [openid] is empty: its first line is the secret")
        return lines[0]

    # --- transport

    @asynccontextmanager
    async def _conversation(self) -> AsyncIterator[httpx2.AsyncClient]:
        try:
            async with asyncio.timeout(DEADLINE_S), self._turns:
                if self._trusted is None:
                    self._trusted = await asyncio.to_thread(ssl.create_default_context, cafile=self.options.ca)
                async with httpx2.AsyncClient(verify=self._trusted, timeout=ANSWER_S) as client:
                    yield client
        except TimeoutError as error:
            raise ProviderDownError(f"it did not answer within {DEADLINE_S:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProviderDownError(f"it cannot be reached ({type(error).__name__})") from error
        except (OSError, UnicodeError) as error:  # the certificate file, or a secret that no header can carry
            raise ProviderDownError(f"it cannot be asked ({error})") from error

    async def _ask(
        self, client: httpx2.AsyncClient, method: str, address: str, *, headers: Mapping[str, str] | None = None,
        content: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Fetch a JSON document of bounded size; redirects are not followed, and nothing is decompressed."""
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        body = bytearray()
        async with client.stream(method, address, headers=sent, content=content) as answer:
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    raise ProviderDownError(f"its response has more than {MOST_BYTES} bytes")
        if answer.status_code == httpx2.codes.OK:
            return read_json(bytes(body))
        if answer.status_code == httpx2.codes.BAD_REQUEST and read_json(bytes(body)).get("error") == "invalid_grant":
            raise AnswerRefusedError("the provider refuses the code")
        raise ProviderDownError(f"it answers {answer.status_code}; for 400 and 401 check client_id and its secret")
