"""Accounts and regions as AWS has them."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from holdfast.worlds.aws.accounts import DEFAULT_ACCOUNT, check_account
from holdfast.worlds.aws.errors import UnknownRegion
from holdfast.worlds.model import Scope

GLOBAL = "global"
"""The region of what has one state for a whole account."""
DEFAULT_REGION = "us-east-1"


def check_aws_scope(account_id: object, region: object) -> Scope:
    """Raises:
    InvalidAccount: no 12 digits.
    UnknownRegion: AWS has none of that name.
    """
    account = check_account(account_id)
    if not isinstance(region, str) or (region != GLOBAL and region not in _regions()):
        raise UnknownRegion(f"{region!r} is no region of AWS.")
    return Scope(account, region)


@cache
def _regions() -> frozenset[str]:
    """Those that the SDK knows; asked without a session, which would want the user's profile."""
    known = EndpointResolver(Loader().load_data("endpoints"))
    partitions = known.get_available_partitions()
    return frozenset(region for name in partitions for region in known.get_available_endpoints("dynamodb", name))


__all__ = ["DEFAULT_ACCOUNT", "DEFAULT_REGION", "GLOBAL", "check_aws_scope"]
