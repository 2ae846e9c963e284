"""The model gateway: which model a request goes to."""

from __future__ import annotations

from holdfast.gateway.matching import Router, match
from holdfast.gateway.model import Conditions, ProposedRoute, Route, RouteSet, RoutingRequest, Target, routes_digest
from holdfast.gateway.sql import SqlRoutingTable
from holdfast.gateway.store import RoutingTable
from holdfast.gateway.validation import read_routes, validate

__all__ = [
    "Conditions",
    "ProposedRoute",
    "Route",
    "RouteSet",
    "Router",
    "RoutingRequest",
    "RoutingTable",
    "SqlRoutingTable",
    "Target",
    "match",
    "read_routes",
    "routes_digest",
    "validate",
]
