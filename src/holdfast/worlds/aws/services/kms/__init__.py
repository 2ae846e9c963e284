"""KMS: keys usable after a restore, with aliases and grants."""

from __future__ import annotations

from holdfast.worlds.aws.services.kms.adapter import KmsAdapter
from holdfast.worlds.aws.services.kms.records import Alias, Grant, Key

__all__ = ["Alias", "Grant", "Key", "KmsAdapter"]
