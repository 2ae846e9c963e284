"""Accounts as AWS has them. Pure: needs nothing of the extra."""

from __future__ import annotations

import re

from holdfast.worlds.aws.errors import InvalidAccount

DEFAULT_ACCOUNT = "123456789012"
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)


def check_account(account_id: object) -> str:
    """Raises:
    InvalidAccount: no 12 digits.
    """
    if not isinstance(account_id, str) or not _ACCOUNT.fullmatch(account_id):
        raise InvalidAccount(f"{account_id!r} is no account id.")
    return account_id
