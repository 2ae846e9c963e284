"""SNS: the emulator's objects into records, and back."""

from __future__ import annotations

from typing import Any

from moto.sns import models
from moto.sns.utils import FilterPolicyMatcher, make_arn_for_topic

from holdfast.worlds.aws.services.sns.records import (
    Application,
    Endpoint,
    Notification,
    Sms,
    Subscription,
    Topic,
)
from holdfast.worlds.aws.shapes import (
    LOSSLESS,
    PAIRS,
    SAME,
    TEXT,
    Coverage,
    Shape,
    as_it_was,
    backend_coverage,
    lossless,
)

AS_GIVEN = (
    "display_name",
    "delivery_policy",
    "effective_delivery_policy",
    "kms_master_key_id",
    "fifo_topic",
    "content_based_deduplication",
    "subscriptions_pending",
    "subscriptions_confimed",
    "subscriptions_deleted",
)
_CLOUDFORMATION = frozenset({"type", "logical_resource_id"})
TOPIC = Shape(
    models.Topic,
    Topic,
    names={"policy": "_policy_json", "tags": "_tags"},
    ways={"policy": TEXT, "tags": PAIRS, **dict.fromkeys(AS_GIVEN, LOSSLESS)},
    extra=("name", "others"),
    rebuilt=("name", "arn", "account_id", "sns_backend", "sent_notifications"),
)
SUBSCRIPTION = Shape(
    models.Subscription,
    Subscription,
    extra=("id", "topic", "topic_account", "topic_gone", "filter_policy", "filter_scope"),
    rebuilt=("arn", "account_id", "owner", "topic", "_filter_policy", "_filter_policy_matcher"),
)
APPLICATION = Shape(models.PlatformApplication, Application, rebuilt=("arn", "region"))
ENDPOINT = Shape(
    models.PlatformEndpoint,
    Endpoint,
    ways={"id": SAME},
    extra=("platform", "application"),
    rebuilt=("arn", "region", "application", "messages"),
)
SMS = Shape(models.SMS, Sms)
COVERAGE = (
    TOPIC.coverage,
    SUBSCRIPTION.coverage,
    Coverage(FilterPolicyMatcher, rebuilt=frozenset({"filter_policy", "filter_policy_scope"})),
    APPLICATION.coverage,
    ENDPOINT.coverage,
    SMS.coverage,
    backend_coverage(
        models.SNSBackend,
        held=(
            "topics",
            "subscriptions",
            "applications",
            "platform_endpoints",
            "sms_attributes",
            "sms_message_objects",
            "opt_out_numbers",
            "_message_public_keys",
        ),
        rebuilt=("sms_messages",),
    ),
)
KNOWN = TOPIC.coverage.held | TOPIC.coverage.rebuilt | _CLOUDFORMATION


def topic_record(name: str, topic: Any) -> Topic:
    others = {key: lossless(value) for key, value in vars(topic).items() if key not in KNOWN}
    return TOPIC.capture(topic, name=name, others=others)


def topic_of(record: Topic, backend: Any) -> Any:
    return TOPIC.build(
        record,
        **as_it_was(record.others),
        **_whereabouts(record.name, backend.account_id, backend),
        sns_backend=backend,
    )


def absent_topic(name: str, account_id: str, backend: Any, *, gone: bool) -> Any:
    """What a subscription holds of a topic that is not there.

    Args:
        gone: for good; otherwise its account gives it back when it is restored, and it belongs to no backend.
    """
    model: Any = models.Topic
    made = object.__new__(model)
    vars(made).update(_whereabouts(name, account_id, backend), sns_backend=backend if gone else None)
    return made


def _whereabouts(name: str, account_id: str, backend: Any) -> dict[str, Any]:
    arn = make_arn_for_topic(account_id, name, backend.region_name)
    return {"name": name, "arn": arn, "account_id": account_id, "sent_notifications": []}


def notification_record(sent: tuple[Any, ...]) -> Notification:
    ident, message, subject, attributes, group_id = sent
    return Notification(
        id=ident, message=message, subject=subject, message_attributes=lossless(attributes), group_id=group_id
    )


def notification_of(record: Notification) -> tuple[Any, ...]:
    attributes = as_it_was(record.message_attributes)
    return record.id, record.message, record.subject, attributes, record.group_id


def subscription_record(subscription: Any) -> Subscription:
    topic, matcher = subscription.topic, subscription._filter_policy_matcher
    account, name = topic.arn.split(":")[4:6]
    return SUBSCRIPTION.capture(
        subscription,
        id=subscription.arn.rpartition(":")[2],
        topic=name,
        topic_account=None if account == subscription.account_id else account,
        topic_gone=is_gone(topic),
        filter_policy=None if matcher is None else lossless(matcher.filter_policy),
        filter_scope=None if matcher is None else matcher.filter_policy_scope,
    )


def is_gone(topic: Any) -> bool:
    """Whether the topic was deleted: its backend has none, or another, of its name."""
    return topic.sns_backend is not None and topic.sns_backend.topics.get(topic.arn) is not topic


def subscription_of(record: Subscription, topic: Any, backend: Any) -> Any:
    policy = as_it_was(record.filter_policy)
    matcher = None if record.filter_scope is None else FilterPolicyMatcher(policy, record.filter_scope)
    return SUBSCRIPTION.build(
        record,
        arn=f"{topic.arn}:{record.id}",
        account_id=backend.account_id,
        owner=backend.account_id,
        topic=topic,
        _filter_policy=policy,
        _filter_policy_matcher=matcher,
    )
