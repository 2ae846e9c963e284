"""What can be wrong with a view of SNS whose values are of the right types. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.worlds.aws.adapter import Fault
from holdfast.worlds.aws.services.given import NOT_WRITTEN, TWINS, has_twins, is_lossless
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
from holdfast.worlds.aws.shapes import is_json_object


def faults(resources: Mapping[str, Record]) -> Iterator[Fault]:
    """The faults of all resources."""
    for name, record in resources.items():
        if name != (right := _name_of(name, record)):
            yield Fault(name, "name", f"it is that of {right!r}")
            continue
        for field, needed in _needs(name, record):
            if needed not in resources:
                yield Fault(name, field, f"there is no {needed!r}")
        for field, value in _free(record):
            if not is_lossless(value):
                yield Fault(name, field, NOT_WRITTEN)
        yield from _faults_of_fields(name, record)


def _faults_of_fields(name: str, record: Record) -> Iterator[Fault]:
    if isinstance(record, Topic) and not is_json_object(record.policy):
        yield Fault(name, "policy", "it is no JSON text of an object")
    if isinstance(record, Topic) and has_twins(record.tags):
        yield Fault(name, "tags", TWINS)
    if isinstance(record, Endpoint) and (lacking := {"Enabled", "Token"} - record.attributes.keys()):
        yield Fault(name, "attributes", f"{min(lacking)!r} is not among them")
    if isinstance(record, Topic) and (taken := record.others.keys() & shapes.KNOWN):
        yield Fault(name, "others", f"it has {min(taken)!r}, which is none of them")


def _name_of(name: str, record: Record) -> str:
    """What the record of that name is to be called."""
    parts = name.split("/", 2)
    if isinstance(record, Notification):
        return f"notification/{parts[1] if len(parts) == 3 else 'TOPIC'}/{record.id}"
    if isinstance(record, Push):
        return f"push/{record.id}/{parts[2] if len(parts) == 3 else 'ENDPOINT'}"
    return _NAMES[type(record)](record)


_NAMES: dict[type, Callable[[Any], str]] = {
    Topic: lambda record: f"topic/{record.name}",
    Subscription: lambda record: f"subscription/{record.id}",
    Application: lambda record: f"application/{record.platform}/{record.name}",
    Endpoint: lambda record: f"endpoint/{record.platform}/{record.application}/{record.id}",
    Sms: lambda record: f"sms/{record.message_id}",
    SmsAttribute: lambda record: f"sms-attribute/{record.name}",
    OptedOut: lambda record: "opted-out",
    Certificate: lambda record: f"certificate/{record.name}",
}


def _needs(name: str, record: Record) -> Iterator[tuple[str, str]]:
    """The names of the resources without which the record cannot be, each with the field that says so."""
    if isinstance(record, Notification):
        yield "name", f"topic/{name.split('/')[1]}"
    elif isinstance(record, Subscription) and record.topic_account is None and not record.topic_gone:
        yield "topic", f"topic/{record.topic}"
    elif isinstance(record, Endpoint):
        yield "application", f"application/{record.platform}/{record.application}"
    elif isinstance(record, Push):
        yield "name", f"endpoint/{name.split('/', 2)[2]}"


def _free(record: Record) -> Iterator[tuple[str, Any]]:
    if isinstance(record, Topic):
        yield from ((field, getattr(record, field)) for field in (*shapes.AS_GIVEN, "others"))
    elif isinstance(record, Notification):
        yield "message_attributes", record.message_attributes
    elif isinstance(record, Subscription):
        yield "filter_policy", record.filter_policy
