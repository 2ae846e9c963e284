"""Accounts and regions as AWS has them."""

from __future__ import annotations

import re
from functools import cache

from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from holdfast.worlds.aws.errors import InvalidAccount, UnknownRegion
from holdfast.worlds.model import Scope

GLOBAL = "global"
"""The region of what has one state for a whole account."""
DEFAULT_ACCOUNT, DEFAULT_REGION = "123456789012", "us-east-1"
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


def check_aws_scope(account_id: object, region: object) -> Scope:
    """Raises:
    InvalidAccount: no 12 digits.
    UnknownRegion: AWS has none of that name.
    """
    if not isinstance(account_id, str) or not _ACCOUNT.fullmatch(account_id):
        raise InvalidAccount(f"{account_id!r} is no account id.")
    if not isinstance(region, str) or (region != GLOBAL and region not in _regions()):
        raise UnknownRegion(f"{region!r} is no region of AWS.")
    return Scope(account_id, region)


@cache
def _regions() -> frozenset[str]:
    """Those that the SDK knows; asked without a session, which would want the user's profile."""
    known = EndpointResolver(Loader().load_data("endpoints"))
    partitions = known.get_available_partitions()
    return frozenset(region for name in partitions for region in known.get_available_endpoints("dynamodb", name))
