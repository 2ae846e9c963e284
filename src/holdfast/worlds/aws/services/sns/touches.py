"""What each method of the emulator's SNS may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sns import models

from holdfast.worlds.aws.adapter import Elsewhere, Group, Touch

TOPIC, SENT, PUSHES, APPLICATION = "topic", "sent", "pushes", "application"
SUBSCRIPTIONS: Group = ("subscriptions",)
ENDPOINTS: Group = ("endpoints",)
SMS: Group = ("sms",)
SMS_ATTRIBUTES: Group = ("sms-attributes",)
OPTED_OUT: Group = ("opted-out",)
CERTIFICATES: Group = ("certificates",)
_SIGNED = ("sqs", "http", "https")


def path_of(arn: str) -> str:
    """The part of an application's or endpoint's ARN that is the same in every account and region."""
    return arn.partition("/")[2]


def _at(backend: Any, account: str, group: Group) -> Group | Elsewhere:
    return group if account == backend.account_id else Elsewhere(account, backend.region_name, group)


def _owner_and_name(topic_arn: Any) -> tuple[str, str] | None:
    """Whose a topic is that a client names, and its name; ``None`` where nobody can have it."""
    parts = topic_arn.split(":") if isinstance(topic_arn, str) else []
    return (parts[4], parts[5]) if len(parts) == 6 and parts[4] in models.sns_backends else None


def _of_topic(backend: Any, topic_arn: Any, *kinds: str) -> Iterator[Group | Elsewhere]:
    if (found := _owner_and_name(topic_arn)) is not None:
        account, name = found
        yield from (_at(backend, account, (kind, name)) for kind in kinds)


def _topic(backend: Any, topic_arn: Any, *_: Any, **__: Any) -> Iterator[Group | Elsewhere]:
    return _of_topic(backend, topic_arn, TOPIC)


def _tagged_topic(backend: Any, resource_arn: Any, *_: Any, **__: Any) -> Iterator[Group | Elsewhere]:
    return _of_topic(backend, resource_arn, TOPIC)


def _add_permission(backend: Any, region_name: Any, topic_arn: Any, *_: Any, **__: Any) -> Iterator[Group | Elsewhere]:
    return _of_topic(backend, topic_arn, TOPIC)


def _delete_topic(backend: Any, arn: Any) -> Iterator[Group | Elsewhere]:
    yield SUBSCRIPTIONS
    yield from _of_topic(backend, arn, TOPIC, SENT)
    if (found := _owner_and_name(arn)) is not None:
        yield _at(backend, found[0], SUBSCRIPTIONS)
        for account in _subscribers(backend, arn):
            yield Elsewhere(account, backend.region_name, SUBSCRIPTIONS)


def _subscribers(backend: Any, topic_arn: str) -> list[str]:
    """Other accounts that have subscriptions to the topic."""
    return [
        account
        for account, places in models.sns_backends.items()
        if account != backend.account_id
        and (other := dict.get(places, backend.region_name)) is not None
        and any(one.topic.arn == topic_arn for one in other.subscriptions.values())
    ]


def _publish(
    backend: Any, message: Any, arn: Any = None, phone_number: Any = None, *_: Any, **__: Any
) -> Iterator[Group | Elsewhere]:
    if phone_number:
        yield SMS
    else:
        yield from _published(backend, arn)


def _publish_batch(backend: Any, topic_arn: Any, *_: Any, **__: Any) -> Iterator[Group | Elsewhere]:
    return _published(backend, topic_arn)


def _published(backend: Any, arn: Any) -> Iterator[Group | Elsewhere]:
    if arn in backend.platform_endpoints:
        yield PUSHES, path_of(arn)
        return
    yield from _of_topic(backend, arn, SENT)
    found = _owner_and_name(arn)
    owner = dict.get(models.sns_backends[found[0]], backend.region_name) if found else None
    if owner is not None and any(one.topic.arn == arn and one.protocol in _SIGNED for one in _subscriptions(owner)):
        yield _at(backend, DEFAULT_ACCOUNT_ID, CERTIFICATES)


def _subscriptions(backend: Any) -> Any:
    return backend.subscriptions.values()


def _create_application(backend: Any, name: Any, platform: Any, *_: Any, **__: Any) -> Iterator[Group]:
    yield APPLICATION, f"{platform}/{name}"


def _application(backend: Any, arn: Any, *_: Any, **__: Any) -> Iterator[Group]:
    yield APPLICATION, path_of(arn)


def _delete_application(backend: Any, platform_arn: Any) -> Iterator[Group]:
    yield APPLICATION, path_of(platform_arn)
    yield ENDPOINTS
    for endpoint in backend.list_endpoints_by_platform_application(platform_arn):
        yield PUSHES, path_of(endpoint.arn)


def _delete_endpoint(backend: Any, arn: Any) -> Iterator[Group]:
    yield ENDPOINTS
    yield PUSHES, path_of(arn)


def _always(*groups: Group) -> Touch:
    return lambda *_, **__: groups


TOUCHES: dict[str, Touch] = {
    "create_topic": lambda backend, name, *_, **__: [(TOPIC, name)],
    "delete_topic": _delete_topic,
    "set_topic_attribute": _topic,
    "add_permission": _add_permission,
    "remove_permission": _topic,
    "tag_resource": _tagged_topic,
    "untag_resource": _tagged_topic,
    "publish": _publish,
    "publish_batch": _publish_batch,
    **dict.fromkeys(
        ("subscribe", "unsubscribe", "set_subscription_attributes", "delete_topic_subscriptions"),
        _always(SUBSCRIPTIONS),
    ),
    "create_platform_application": _create_application,
    "set_platform_application_attributes": _application,
    "delete_platform_application": _delete_application,
    "create_platform_endpoint": _always(ENDPOINTS),
    "set_endpoint_attributes": _always(ENDPOINTS),
    "delete_endpoint": _delete_endpoint,
    "set_sms_attributes": _always(SMS_ATTRIBUTES),
    "opt_in_phone_number": _always(OPTED_OUT),
    **dict.fromkeys(("confirm_subscription", "check_if_phone_number_is_opted_out", "owns_arn"), _always()),
}
