"""Secrets Manager: secrets with all their versions. Views hold secrets in the clear: keep them as you keep secrets."""

from __future__ import annotations

from holdfast.worlds.aws.services.secretsmanager.adapter import SecretsManagerAdapter
from holdfast.worlds.aws.services.secretsmanager.records import Replica, ReplicaStatus, Secret, SecretVersion

__all__ = ["Replica", "ReplicaStatus", "Secret", "SecretVersion", "SecretsManagerAdapter"]
