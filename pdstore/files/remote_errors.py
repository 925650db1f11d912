"""What an object store refuses, told in the words of who reads it, and never with a credential.

Nothing of a server's message is repeated: only its code, such as ``SlowDown``, and the address without its query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pdstore.errors import StorageFailure, StoreUnreachable, UsageError

__all__ = ["check_url", "code_of", "is_transient", "remote_failure"]

_CREDENTIALS = {
    "AuthFailure", "CredentialsNotSupported", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId",
    "InvalidClientTokenId", "InvalidSecurity", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired",
    "UnrecognizedClientException",
}  # fmt: skip
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "Forbidden", "NotSignedUp"}
_BUSY = {
    "InternalError", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "SlowDown", "Throttling",
    "ThrottlingException", "TooManyRequests", "429", "500", "502", "503", "504",
}  # fmt: skip
_NO_CREDENTIALS = {
    "CredentialRetrievalError", "NoAuthTokenError", "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound",
    "SSOTokenLoadError", "TokenRetrievalError", "UnauthorizedSSOTokenError",
}  # fmt: skip
_LIBRARIES = ("botocore.", "aiobotocore.", "aiohttp.", "urllib3.", "http.client")
_NETWORK = (
    "ClientPayloadError", "ConnectTimeoutError", "ConnectionClosedError", "ConnectionError", "EndpointConnectionError",
    "FSTimeoutError", "HTTPClientError", "IncompleteRead", "ProxyConnectionError", "ReadTimeoutError",
    "ResponseParserError", "ResponseStreamingError", "ServerDisconnectedError", "ClientConnectorError", "ClientOSError",
)  # fmt: skip
_SECRET = re.compile(r"(?i)[?&](x-amz-|sig=|signature=|token=|awsaccesskeyid=|sas=|key=|secret=|password=)")
_ENVIRONMENT = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


def check_url(url: str) -> None:
    """Raises UsageError, without its text, if a URL holds credentials: it is shown in messages, commands and pages."""
    if "://" in url and (re.search(r"://[^/]*@", url) or _SECRET.search(url)):
        bare = re.sub(r"://[^/]*@", "://…@", url.partition("?")[0])
        fix = f"Give the URL without them, and set {_ENVIRONMENT}; docs/remote.md names those of other stores"
        raise UsageError("the URL of a store must not hold credentials", bare, fix)


def code_of(error: BaseException) -> str:
    """The code that the server answered, such as ``NoSuchBucket``; empty if it did not answer."""
    for one in _chain(error):
        response: Any = getattr(one, "response", None)
        if isinstance(response, dict):
            status = str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
            code = str(response.get("Error", {}).get("Code", "")) or status
            return status if status in _BUSY and code not in _BUSY else code
    return ""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    code = code_of(error)
    return code in _BUSY if code else _is_of_network(error)


def remote_failure(error: BaseException, where: str, *, is_writing: bool = False) -> StorageFailure | None:
    """What an error of an object store means; None if it is no such error.

    Args:
        where: the address of what was read or written.
    """
    code = code_of(error)
    names = {type(one).__name__ for one in _chain(error)}
    if names & _NO_CREDENTIALS:
        problem, fix = "there are no credentials for the object store, or they are incomplete", f"Set {_ENVIRONMENT}"
        return StorageFailure(problem, where, fix)
    if code in _CREDENTIALS:
        fix = f"Check {_ENVIRONMENT}, and AWS_ENDPOINT_URL if the store is not at AWS; log in again if they expire"
        return StorageFailure(f"the object store does not accept the credentials ({code})", where, fix)
    if code == "RequestTimeTooSkewed":
        problem = "the object store refuses requests by this machine's clock, which is wrong"
        return StorageFailure(problem, where, "Set the clock")
    if code == "NoSuchBucket":
        bucket = re.sub(r"^\w+://", "", where).partition("/")[0]
        fix = "Check the name and AWS_ENDPOINT_URL, or make the bucket: pd makes none"
        return StorageFailure(f"there is no bucket {bucket} in the object store", where, fix)
    if code in _DENIED:
        verb = "write" if is_writing else "read and list"
        fix = f"Ask for the permission to {verb} there, or use other credentials"
        return StorageFailure(f"the credentials do not allow to {verb} here ({code})", where, fix)
    if code in {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}:
        problem = f"the bucket is in another region than the requests were sent to ({code})"
        return StorageFailure(problem, where, "Set AWS_REGION to the region of the bucket")
    if is_transient(error):
        said = f"it answered {code}" if code else "cannot connect, or the connection was lost"
        fix = "Run the same command again when it answers; what was committed is safe. Check the network" + (
            "" if code else " and AWS_ENDPOINT_URL"
        )
        return StoreUnreachable(f"the object store could not be reached: {said}", where, fix)
    return None


def _is_of_network(error: BaseException) -> bool:
    for one in _chain(error):
        kind = type(one)
        if isinstance(one, ConnectionError | TimeoutError):
            return True
        if kind.__name__ in _NETWORK and f"{kind.__module__}.".startswith((*_LIBRARIES, "fsspec.")):
            return True
    return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it."""
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or (None if error.__suppress_context__ else error.__context__), seen + 1
