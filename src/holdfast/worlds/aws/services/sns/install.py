"""SNS: records into the emulator's objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from moto.sns import models
from moto.sns.utils import make_arn_for_topic

from holdfast.worlds.aws.services.sns import shapes
from holdfast.worlds.aws.services.sns.records import (
    Application,
    Certificate,
    Endpoint,
    Notification,
    OptedOut,
    Push,
    Record,
    Sms,
    SmsAttribute,
    Subscription,
    Topic,
)


def install(backend: Any, resources: Mapping[str, Record]) -> None:
    """Make the resources the state of the backend."""
    built = models.SNSBackend(backend.region_name, backend.account_id)
    for record in resources.values():
        if isinstance(record, Topic):
            topic = shapes.topic_of(record, backend)
            built.topics[topic.arn] = topic
        elif isinstance(record, Application):
            arn = _arn(backend, "app", f"{record.platform}/{record.name}")
            built.applications[arn] = shapes.APPLICATION.build(record, arn=arn, region=backend.region_name)
    for name, record in resources.items():
        _add(built, backend, name, record)
    for name, record in resources.items():
        if isinstance(record, Push):
            path = name.split("/", 2)[2]
            built.platform_endpoints[_arn(backend, "endpoint", path)].messages[record.id] = record.message
    _relink(backend, built.topics)
    vars(backend).update(vars(built))


def _add(built: Any, backend: Any, name: str, record: Record) -> None:
    """Add what refers to topics or applications, or to nothing."""
    if isinstance(record, Notification):
        topic = built.topics[make_arn_for_topic(backend.account_id, name.split("/")[1], backend.region_name)]
        topic.sent_notifications.append(shapes.notification_of(record))
    elif isinstance(record, Subscription):
        topic = _topic_of(record, built, backend)
        subscription = shapes.subscription_of(record, topic, backend)
        built.subscriptions[subscription.arn] = subscription
    elif isinstance(record, Endpoint):
        _add_endpoint(built, backend, record)
    elif isinstance(record, Sms):
        built.sms_message_objects[record.message_id] = shapes.SMS.build(record)
        built.sms_messages[record.message_id] = (record.phone_number, record.message)
    elif isinstance(record, SmsAttribute):
        built.sms_attributes[record.name] = record.value
    elif isinstance(record, OptedOut):
        built.opt_out_numbers = list(record.numbers)
    elif isinstance(record, Certificate):
        built._message_public_keys[record.name] = record.pem.encode()


def _add_endpoint(built: Any, backend: Any, record: Endpoint) -> None:
    application = built.applications[_arn(backend, "app", f"{record.platform}/{record.application}")]
    arn = _arn(backend, "endpoint", f"{record.platform}/{record.application}/{record.id}")
    built.platform_endpoints[arn] = shapes.ENDPOINT.build(
        record, arn=arn, region=backend.region_name, application=application, messages=OrderedDict()
    )


def _topic_of(record: Subscription, built: Any, backend: Any) -> Any:
    account = record.topic_account or backend.account_id
    if not record.topic_gone:
        topics = built.topics if record.topic_account is None else _topics_of(account, backend.region_name)
        found = topics.get(make_arn_for_topic(account, record.topic, backend.region_name))
        if found is not None:
            return found
    return shapes.absent_topic(record.topic, account, backend, gone=record.topic_gone)


def _topics_of(account_id: str, region: str) -> Any:
    places: Any = dict.get(models.sns_backends, account_id, {})
    other = dict.get(places, region)
    return {} if other is None else other.topics


def _relink(backend: Any, topics: Mapping[str, Any]) -> None:
    """Have the subscriptions that other accounts have to this one's topics find the new ones."""
    for account, places in models.sns_backends.items():
        other = dict.get(places, backend.region_name) if account != backend.account_id else None
        for subscription in list(other.subscriptions.values()) if other is not None else ():
            old = subscription.topic
            owner, name = old.arn.split(":")[4:6]
            if owner == backend.account_id and not shapes.is_gone(old):
                subscription.topic = topics.get(old.arn) or shapes.absent_topic(name, owner, backend, gone=False)


def _arn(backend: Any, kind: str, path: str) -> str:
    return f"arn:{backend.partition}:sns:{backend.region_name}:{backend.account_id}:{kind}/{path}"
