"""SQS: queues with their messages, those in flight included."""

from __future__ import annotations

from holdfast.worlds.aws.services.sqs.adapter import SqsAdapter
from holdfast.worlds.aws.services.sqs.records import Deletion, Message, Queue

__all__ = ["Deletion", "Message", "Queue", "SqsAdapter"]
