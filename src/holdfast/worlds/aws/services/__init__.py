"""The services of the mock AWS, one folder each: its records, and how the emulator's objects become them and back."""

from __future__ import annotations

from typing import Any

from holdfast.worlds.aws.adapter import Adapter
from holdfast.worlds.aws.services.dynamodb import DynamoDbAdapter
from holdfast.worlds.aws.services.events import EventsAdapter
from holdfast.worlds.aws.services.iam import IamAdapter
from holdfast.worlds.aws.services.kms import KmsAdapter
from holdfast.worlds.aws.services.logs import LogsAdapter
from holdfast.worlds.aws.services.s3 import S3Adapter
from holdfast.worlds.aws.services.secretsmanager import SecretsManagerAdapter
from holdfast.worlds.aws.services.sns import SnsAdapter
from holdfast.worlds.aws.services.sqs import SqsAdapter
from holdfast.worlds.aws.services.ssm import SsmAdapter

ADAPTERS: tuple[type[Adapter[Any]], ...] = (
    IamAdapter,
    KmsAdapter,
    S3Adapter,
    DynamoDbAdapter,
    SqsAdapter,
    SnsAdapter,
    SecretsManagerAdapter,
    SsmAdapter,
    EventsAdapter,
    LogsAdapter,
)
"""In the order in which they are restored."""
