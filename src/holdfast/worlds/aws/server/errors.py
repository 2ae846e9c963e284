"""What can go wrong with the server of a world, each with its remedy, and the HTTP statuses of errors."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound, StoreError
from holdfast.worlds.aws.errors import WorldClosed, WorldTakenOver

LOST = (StoreError, WorldTakenOver, WorldClosed)
"""What a client may try again: the world, or another that has it by then, may answer."""


class PortInUse(Conflict):
    """Another program listens there."""

    code = "port_in_use"
    remedy = "Choose another port, or 0 for any that is free."


class AddressUnusable(InvalidInput):
    """An address that nobody can listen on here."""

    code = "address_unusable"
    remedy = "Use an address of this machine, such as 127.0.0.1, and a port from 1024 to 65535, or 0 for any."


class TokenNeeded(InvalidInput):
    """Others than this machine's programs could reach the state of the world."""

    code = "token_needed"
    remedy = (
        "Give a token (--token, HOLDFAST_WORLD_TOKEN): it guards /_world. Nothing guards the AWS endpoints: any "
        "credentials will do. Or listen on 127.0.0.1."
    )


class Unauthorized(InvalidInput):
    """A request for the world's state that does not bear the token."""

    code = "unauthorized"
    remedy = "Send the header Authorization: Bearer TOKEN, with the token that the server was started with."


class ForeignRequest(InvalidInput):
    """A request for the world's state that a page of some other site may have had a browser send."""

    code = "foreign_request"
    remedy = "Ask from a program, at localhost or the server's IP address; or start the server with a token."


class RequestTooLarge(InvalidInput):
    """A body that is longer than the server takes."""

    code = "request_too_large"
    remedy = "Send less at once: S3 objects in parts, states of a world service by service."


class MalformedRequest(InvalidInput):
    """A body that ends before its end, or whose parts cannot be told apart."""

    code = "malformed_request"
    remedy = "Send the whole body: as long as Content-Length says, or in well-formed chunks."


class NoSuchService(NotFound):
    """The world has no service of that name."""

    code = "no_such_service"

    def __init__(self, service: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no service {service!r}.", remedy=f"There are: {', '.join(sorted(known))}.")


class NoSuchPath(NotFound):
    """Nothing answers there."""

    code = "no_such_path"
    remedy = "See `holdfast world serve --help` for what is there."


class NoSuchMethod(InvalidInput):
    """Something is there, but does not take this method.

    Attributes:
        taken: those that it takes.
    """

    code = "method_not_allowed"
    remedy = "The header Allow names those that it takes."

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = ", ".join(sorted(taken))
        super().__init__(f"That path takes {self.taken}.")


class Unexpected(HoldfastError):
    """A bug."""

    code = "unexpected"
    remedy = "The server's log has what happened."


_STATUSES: tuple[tuple[type[HoldfastError] | tuple[type[HoldfastError], ...], int], ...] = (
    (LOST, 503),
    (Unauthorized, 401),
    (ForeignRequest, 403),
    (NoSuchMethod, 405),
    (RequestTooLarge, 413),
    (InvalidInput, 400),
    (NotFound, 404),
    (Conflict, 409),
)


def status_of(error: HoldfastError) -> int:
    """The HTTP status of an error's family."""
    return next((status for family, status in _STATUSES if isinstance(error, family)), 500)
