"""What views of SNS hold. Pure: no I/O."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from holdfast.worlds.aws.resource import Resource


class Topic(Resource, frozen=True, kw_only=True, tag="topic"):
    """A topic: ``topic/NAME``.

    Attributes:
        display_name, delivery_policy, effective_delivery_policy, kms_master_key_id, fifo_topic,
            content_based_deduplication, subscriptions_…: attributes of SNS, as clients gave them.
        policy: JSON text, as it is answered.
        tags: keys with their values, in the order in which they are listed.
        others: attributes that the emulator keeps without knowing them, by their names there.
    """

    name: str
    policy: str
    tags: list[tuple[str, str]]
    display_name: Any
    delivery_policy: Any
    effective_delivery_policy: Any
    kms_master_key_id: Any
    fifo_topic: Any
    content_based_deduplication: Any
    subscriptions_pending: Any
    subscriptions_confimed: Any
    subscriptions_deleted: Any
    others: dict[str, Any]


class Notification(Resource, frozen=True, kw_only=True, tag="notification"):
    """What was published to a topic: ``notification/TOPIC/ID``."""

    id: str
    message: str
    subject: str | None
    message_attributes: Any
    group_id: str | None


class Subscription(Resource, frozen=True, kw_only=True, tag="subscription"):
    """A subscription: ``subscription/ID``.

    Attributes:
        id: what its ARN ends with.
        topic: name of the topic.
        topic_account: whose the topic is, where it is another account's.
        topic_gone: the topic was deleted by another account; one of its name that was made since is another.
        filter_policy, filter_scope: by which the emulator filters; ``None``: everything is delivered.
    """

    id: str
    topic: str
    topic_account: str | None = None
    topic_gone: bool = False
    endpoint: str | None
    protocol: str
    attributes: dict[str, Any]
    filter_policy: dict[str, Any] | None = None
    filter_scope: Literal["MessageAttributes", "MessageBody"] | None = None
    confirmed: bool


class Application(Resource, frozen=True, kw_only=True, tag="application"):
    """A platform application: ``application/PLATFORM/NAME``."""

    name: str
    platform: str
    attributes: dict[str, Any]


class Endpoint(Resource, frozen=True, kw_only=True, tag="endpoint"):
    """A device or app that is registered with a platform application: ``endpoint/PLATFORM/APPLICATION/ID``."""

    id: UUID
    platform: str
    application: str
    token: str
    custom_user_data: str | None
    attributes: dict[str, Any]


class Push(Resource, frozen=True, kw_only=True, tag="push"):
    """What was published to an endpoint: ``push/ID/PLATFORM/APPLICATION/ENDPOINT``."""

    id: str
    message: str


class Sms(Resource, frozen=True, kw_only=True, tag="sms"):
    """A text message that was sent to a telephone: ``sms/ID``."""

    message_id: str
    phone_number: str
    message: str


class SmsAttribute(Resource, frozen=True, kw_only=True, tag="sms_attribute"):
    """A setting of text messages: ``sms-attribute/NAME``."""

    name: str
    value: str


class OptedOut(Resource, frozen=True, kw_only=True, tag="opted_out"):
    """The telephones that get no text messages, once a client has changed them: ``opted-out``."""

    numbers: list[str]


class Certificate(Resource, frozen=True, kw_only=True, tag="certificate"):
    """With which a delivered message's signature is checked: ``certificate/NAME``.

    The emulator keeps those of all accounts in its default account.

    Attributes:
        name: what the ``SigningCertURL`` of a message ends with.
        pem: the public key.
    """

    name: str
    pem: str


Record = (
    Topic | Notification | Subscription | Application | Endpoint | Push | Sms | SmsAttribute | OptedOut | Certificate
)
