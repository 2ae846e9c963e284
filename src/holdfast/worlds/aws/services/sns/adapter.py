"""SNS: the emulator's topics, subscriptions and messages into records, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, ClassVar

from moto.sns import models
from moto.sns.utils import make_arn_for_topic

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.services.sns import shapes, touches
from holdfast.worlds.aws.services.sns.checks import faults
from holdfast.worlds.aws.services.sns.install import install
from holdfast.worlds.aws.services.sns.records import Certificate, OptedOut, Push, Record, SmsAttribute
from holdfast.worlds.model import StateView

_WHOLE = {
    "topic": touches.TOPIC,
    "notification": touches.SENT,
    "application": touches.APPLICATION,
}
_SHARED = {
    "subscription": touches.SUBSCRIPTIONS,
    "endpoint": touches.ENDPOINTS,
    "sms": touches.SMS,
    "sms-attribute": touches.SMS_ATTRIBUTES,
    "opted-out": touches.OPTED_OUT,
    "certificate": touches.CERTIFICATES,
}


class SnsAdapter(Adapter[Record]):
    """Topics, each a group without, and one with, what was published to it; subscriptions; endpoints; SMS."""

    service_name = "sns"
    view_type = StateView[Record]
    coverage = shapes.COVERAGE
    touches: ClassVar = touches.TOUCHES

    @property
    def backends(self) -> Any:
        return models.sns_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        for topic in list(backend.topics):
            name = topic.rpartition(":")[2]
            yield touches.TOPIC, name
            if backend.topics[topic].sent_notifications:
                yield touches.SENT, name
        yield from ((touches.APPLICATION, touches.path_of(arn)) for arn in backend.applications)
        for group in _SHARED.values():
            if self.read(backend, group) is not None:
                yield group
        for arn, endpoint in backend.platform_endpoints.items():
            if endpoint.messages:
                yield touches.PUSHES, touches.path_of(arn)

    def read(self, backend: Any, group: Group) -> Part[Record] | None:
        read = _READERS.get(group[0])
        found = dict(read(backend, *group[1:])) if read is not None else {}
        return Part(backend.region_name, found) if found else None

    def group_of(self, name: str) -> Group:
        kind, _, rest = name.partition("/")
        if kind in _SHARED:
            return _SHARED[kind]
        if kind == "notification":
            return touches.SENT, rest.partition("/")[0]
        if kind == "push":
            return touches.PUSHES, rest.partition("/")[2]
        return _WHOLE.get(kind, kind), rest

    def install(self, backend: Any, region: str, resources: Mapping[str, Record]) -> None:
        install(backend, resources)

    def check(self, resources: Mapping[str, Record]) -> Iterator[Fault]:
        return faults(resources)


Found = Iterator[tuple[str, Record]]


def _topic(backend: Any, name: str) -> Found:
    topic = _named(backend, name)
    if topic is not None:
        yield f"topic/{name}", shapes.topic_record(name, topic)


def _sent(backend: Any, name: str) -> Found:
    topic = _named(backend, name)
    if topic is not None and isinstance(topic.sent_notifications, list):
        for sent in topic.sent_notifications:
            yield f"notification/{name}/{sent[0]}", shapes.notification_record(sent)


def _named(backend: Any, name: str) -> Any:
    return backend.topics.get(make_arn_for_topic(backend.account_id, name, backend.region_name))


def _subscriptions(backend: Any) -> Found:
    for subscription in backend.subscriptions.values():
        record = shapes.subscription_record(subscription)
        yield f"subscription/{record.id}", record


def _application(backend: Any, path: str) -> Found:
    application = backend.applications.get(_arn(backend, "app", path))
    if application is not None:
        yield f"application/{path}", shapes.APPLICATION.capture(application)


def _endpoints(backend: Any) -> Found:
    for arn, endpoint in backend.platform_endpoints.items():
        of = endpoint.application
        record = shapes.ENDPOINT.capture(endpoint, platform=of.platform, application=of.name)
        yield f"endpoint/{touches.path_of(arn)}", record


def _pushes(backend: Any, path: str) -> Found:
    endpoint = backend.platform_endpoints.get(_arn(backend, "endpoint", path))
    for ident, message in endpoint.messages.items() if endpoint is not None else ():
        yield f"push/{ident}/{path}", Push(id=ident, message=message)


def _arn(backend: Any, kind: str, path: str) -> str:
    return f"arn:{backend.partition}:sns:{backend.region_name}:{backend.account_id}:{kind}/{path}"


def _sms(backend: Any) -> Found:
    for ident, sms in backend.sms_message_objects.items():
        yield f"sms/{ident}", shapes.SMS.capture(sms)


def _sms_attributes(backend: Any) -> Found:
    for name, value in backend.sms_attributes.items():
        yield f"sms-attribute/{name}", SmsAttribute(name=name, value=value)


def _opted_out(backend: Any) -> Found:
    if backend.opt_out_numbers != opted_out_at_first():
        yield "opted-out", OptedOut(numbers=list(backend.opt_out_numbers))


def _certificates(backend: Any) -> Found:
    for name, pem in backend._message_public_keys.items():
        yield f"certificate/{name}", Certificate(name=name, pem=pem.decode())


@cache
def opted_out_at_first() -> list[str]:
    return list(models.SNSBackend("us-east-1", "000000000000").opt_out_numbers)


_READERS: dict[str, Callable[..., Found]] = {
    touches.TOPIC: _topic,
    touches.SENT: _sent,
    touches.APPLICATION: _application,
    touches.PUSHES: _pushes,
    touches.SUBSCRIPTIONS[0]: _subscriptions,
    touches.ENDPOINTS[0]: _endpoints,
    touches.SMS[0]: _sms,
    touches.SMS_ATTRIBUTES[0]: _sms_attributes,
    touches.OPTED_OUT[0]: _opted_out,
    touches.CERTIFICATES[0]: _certificates,
}
