"""What can go wrong with gateway routes, each with its remedy."""

from __future__ import annotations

from holdfast.errors import Conflict, InvalidInput, StoreError


class InvalidRoute(InvalidInput):
    """A route with a missing, unknown or malformed field, or too many of them in a set."""

    code = "invalid_route"
    remedy = (
        "The message names the field. A route has id, priority (a whole number), when (model, key_id, tags)"
        " and target (provider, model)."
    )


class InvalidRequest(InvalidInput):
    """Something other than a request to be routed."""

    code = "invalid_request"
    remedy = "Pass a RoutingRequest, such as RoutingRequest(model=…); it may have a key_id and tags."


class DuplicateRoute(InvalidInput):
    """Two routes of a set have one id."""

    code = "duplicate_route"
    remedy = "Give each route of a set an id of its own."

    def __init__(self, route_id: str) -> None:
        super().__init__(f"The set has two routes {route_id!r}.")
        self.route_id = route_id


class AmbiguousRoutes(InvalidInput):
    """Two routes of equal priority send the same request to different models (PL-14).

    Attributes:
        first, second: their ids.
    """

    code = "ambiguous_routes"
    remedy = "Give one of them a higher priority, or conditions that exclude each other."

    def __init__(self, first: str, second: str, priority: int) -> None:
        super().__init__(f"The routes {first!r} and {second!r} overlap at priority {priority} and differ in target.")
        self.first = first
        self.second = second
        self.priority = priority


class RoutesMoved(Conflict):
    """The routing table has moved on since it was read (PL-8).

    Attributes:
        expected: the revision the caller had.
        actual: the revision it has now.
    """

    code = "routes_moved"
    remedy = "Read the table again, make the change to what it is now, and retry."

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"The routing table is at revision {actual}, not {expected}.")
        self.expected = expected
        self.actual = actual


class RoutesCorrupt(StoreError):
    """The rows of the routing table no longer have the digest that was recorded with their revision.

    Attributes:
        revision: the table's revision.
        recorded: the digest that was recorded.
    """

    code = "routes_corrupt"
    remedy = "Somebody edited the rows by hand: replace the whole set, or restore the database from a backup."

    def __init__(self, revision: int, recorded: str, found: str) -> None:
        super().__init__(f"The routes of revision {revision} have the digest {found}, recorded is {recorded}.")
        self.revision = revision
        self.recorded = recorded
        self.found = found


class RoutesLost(StoreError):
    """The routing table has no revision any more."""

    code = "routes_lost"
    remedy = "Somebody deleted the row of routing_head: restore the database from a backup."

    def __init__(self) -> None:
        super().__init__("The routing table has lost its revision.")
