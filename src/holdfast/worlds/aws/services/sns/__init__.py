"""SNS: topics and what was published to them, subscriptions, push endpoints with their messages, SMS."""

from __future__ import annotations

from holdfast.worlds.aws.services.sns.adapter import SnsAdapter
from holdfast.worlds.aws.services.sns.records import (
    Application,
    Certificate,
    Endpoint,
    Notification,
    OptedOut,
    Push,
    Sms,
    SmsAttribute,
    Subscription,
    Topic,
)

__all__ = [
    "Application",
    "Certificate",
    "Endpoint",
    "Notification",
    "OptedOut",
    "Push",
    "Sms",
    "SmsAttribute",
    "SnsAdapter",
    "Subscription",
    "Topic",
]
