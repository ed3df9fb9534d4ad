"""The client of an object store that speaks S3, and its errors in words.

botocore is loaded only where an object store is configured. It reads no configuration of its own and no environment
variables for accounts: the account comes from the file that `recorder.objects.s3_account` reads.
"""

from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from recorder.objects.s3_account import StoreAccount
from recorder.objects.store import Patience, StoreAdvice, StoreError

S3_ERRORS = (BotoCoreError, ClientError)
"""Errors that the client raises."""
_REFUSED = frozenset({
    "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccountProblem", "AllAccessDisabled", "403", "401",
    "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed",
})  # fmt: skip
_FULL = frozenset({"QuotaExceeded", "EntityTooLarge", "InsufficientCapacity", "507"})
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404"})


def client_of(account: StoreAccount, patience: Patience) -> Any:  # noqa: ANN401 - botocore makes the class at run time
    """Return a client for an account; it may be used by several threads. Nothing is sent yet."""
    session = botocore.session.get_session()
    for name in ("config_file", "credentials_file"):
        session.set_config_variable(name, "/dev/null")
    return session.create_client(
        "s3",
        region_name=account.region,
        endpoint_url=account.endpoint,
        verify=account.ca,
        aws_access_key_id=account.access_key_id,
        aws_secret_access_key=account.secret_access_key,
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=patience.connect_s,
            read_timeout=patience.read_s,
            retries={"mode": "standard", "total_max_attempts": patience.tries},
            max_pool_connections=patience.connections,
            # Trailing checksums are not understood by every store that speaks S3.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def is_missing(error: Exception) -> bool:
    """Tell whether an error says that there is no such object."""
    return isinstance(error, ClientError) and code_of(error) in _MISSING


def is_refused(error: Exception) -> bool:
    """Tell whether an error says that this account may not do it, or that a lock forbids it."""
    return isinstance(error, ClientError) and code_of(error) in _REFUSED


def code_of(error: ClientError) -> str:
    """Return the code of an answer: a word of S3, or the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def problem_of_s3(error: Exception, url: str, advice: StoreAdvice) -> StoreError:
    """Return an error as a sentence; its own text has addresses and parts of requests.

    Args:
        error: One of `S3_ERRORS`.
        url: The store, for people.
        advice: The ends of messages.
    """
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in _REFUSED:
            return StoreError(f"{url} refuses this account: check its keys, and its rights on the bucket ({code})")
        if code == "NoSuchBucket":
            return StoreError(f"{url}: there is no such bucket, or this account does not see it")
        if code in _FULL:
            return StoreError(f"{url} is full ({code}). {advice.unharmed}; {advice.when_full}")
        name = code or "no code"
    else:
        name = type(error).__name__
    return StoreError(
        f"{url} does not answer or refuses ({name}): check the endpoint, the network, and the bucket's quota. "
        f"{advice.unharmed}"
    )
