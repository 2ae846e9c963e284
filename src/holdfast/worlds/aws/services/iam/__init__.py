"""IAM: identities, policies and credentials of an account."""

from __future__ import annotations

from holdfast.worlds.aws.services.iam.adapter import IamAdapter, IamRecord

__all__ = ["IamAdapter", "IamRecord"]
