"""What is set on the emulator's buckets and objects into records, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.s3 import models
from moto.utilities.tagging_service import TaggingService
from moto.utilities.utils import LowercaseDict
from requests.structures import CaseInsensitiveDict

from holdfast.worlds.aws.services.s3 import settings
from holdfast.worlds.aws.shapes import SAME, Coverage, Shape, Way, as_it_was, lossless, plain

_CANNED = ("private", "public-read", "public-read-write", "authenticated-read", "log-delivery-write")


def nested(shape: Shape[Any]) -> Way:
    """Of an object that may be missing."""
    return Way(
        lambda found: None if found is None else shape.capture(found),
        lambda record: None if record is None else shape.build(record),
    )


def each(shape: Shape[Any]) -> Way:
    """Of a list of objects that may be missing."""
    return Way(
        lambda found: None if found is None else [shape.capture(one) for one in found],
        lambda records: None if records is None else [shape.build(one) for one in records],
    )


TAGS = Way(
    lambda found: None if found is None else list(found.items()), lambda pairs: None if pairs is None else dict(pairs)
)


def _metadata(found: Any) -> dict[str, str]:
    return dict(found.store if isinstance(found, LowercaseDict) else found)


def _built_metadata(record: dict[str, str]) -> LowercaseDict:
    made = object.__new__(LowercaseDict)  # its own way of being filled takes a multiple of the time
    made.store = {name.lower(): value for name, value in record.items()}
    return made


METADATA = Way(_metadata, _built_metadata)
UPLOAD_METADATA = Way(lambda found: dict(found.items()), CaseInsensitiveDict)
_GRANTEE = Shape(models.FakeGrantee, settings.Grantee)
_GRANT = Shape(models.FakeGrant, settings.Grant, ways={"grantees": each(_GRANTEE)})
_ACL = Coverage(models.FakeAcl, held=frozenset({"grants"}))
_GRANTS = each(_GRANT)


def _face(acl: Any) -> tuple[Any, ...]:
    """What tells one list of grants from another."""
    return tuple(
        (tuple((one.id, one.uri, one.display_name) for one in grant.grantees), tuple(grant.permissions))
        for grant in acl.grants
    )


_canned = {name: models.get_canned_acl(name) for name in _CANNED}
_grants_by_name = {name: [_GRANT.capture(grant) for grant in acl.grants] for name, acl in _canned.items()}
_name_by_face = {_face(acl): name for name, acl in _canned.items()}


def _acl(found: Any) -> settings.Acl:
    if found is None:
        return None
    return _name_by_face.get(_face(found)) or [_GRANT.capture(grant) for grant in found.grants]


def _built_acl(record: settings.Acl) -> Any:
    if record is None:
        return None
    acl: Any = object.__new__(models.FakeAcl)
    acl.grants = _GRANTS.back(_grants_by_name[record] if isinstance(record, str) else record)
    return acl


ACL = Way(_acl, _built_acl)


def is_acl(record: settings.Acl) -> bool:
    """Whether it names a canned list, where it names one."""
    return not isinstance(record, str) or record in _grants_by_name


def _text(found: Any) -> Any:
    try:
        return found.decode() if isinstance(found, bytes) else lossless(found)
    except UnicodeDecodeError:
        return lossless(found)


def _untext(record: Any) -> Any:
    return record.encode() if isinstance(record, str) else as_it_was(record)


TEXT = Way(_text, _untext)
"""Bytes that are most often readable."""


def _logging(found: dict[str, Any]) -> settings.Logging | None:
    if not found:
        return None
    target = {name: plain(value) for name, value in found.items() if name != "TargetGrants"}
    return settings.Logging(target=target, grants=_GRANTS.into(found.get("TargetGrants")))


def _built_logging(record: settings.Logging | None) -> dict[str, Any]:
    if record is None:
        return {}
    grants = {} if record.grants is None else {"TargetGrants": _GRANTS.back(record.grants)}
    return {**plain(record.target), **grants}


LOGGING = Way(_logging, _built_logging)
_LIFECYCLE_AND = Shape(models.LifecycleAndFilter, settings.LifecycleAnd, ways={"tags": TAGS})
_LIFECYCLE_FILTER = Shape(models.LifecycleFilter, settings.LifecycleFilter, ways={"and_filter": nested(_LIFECYCLE_AND)})
_TRANSITION = Shape(models.LifecycleTransition, settings.Transition)
_NONCURRENT = Shape(models.LifeCycleNoncurrentVersionTransition, settings.NoncurrentTransition)
_LIFECYCLE_RULE = Shape(
    models.LifecycleRule,
    settings.LifecycleRule,
    ways={
        "filter": nested(_LIFECYCLE_FILTER),
        "transitions": each(_TRANSITION),
        "noncurrent_version_transitions": each(_NONCURRENT),
    },
)
_CORS = Shape(models.CorsRule, settings.CorsRule, names={"id": "id_"})
_NOTIFICATION = Shape(models.Notification, settings.Notification)
_NOTIFICATIONS = Shape(
    models.NotificationConfiguration,
    settings.Notifications,
    ways=dict.fromkeys(("topic", "queue", "cloud_function"), each(_NOTIFICATION)),
)
_ACCESS_BLOCK = Shape(models.PublicAccessBlock, settings.PublicAccessBlock)
_INVENTORY = Shape(models.FakeBucketInventoryConfiguration, settings.Inventory)
_into_inventories: Callable[[Any], Any] = each(_INVENTORY).into
BUCKET_WAYS = {
    "created": SAME,
    "acl": ACL,
    "policy": TEXT,
    "website": TEXT,
    "logging": LOGGING,
    "lifecycle": each(_LIFECYCLE_RULE),
    "cors": each(_CORS),
    "notifications": nested(_NOTIFICATIONS),
    "public_access_block": nested(_ACCESS_BLOCK),
    "inventories": Way(
        lambda found: _into_inventories(found.values()),
        lambda records: {record.id: _INVENTORY.build(record) for record in records},
    ),
}
COVERAGE = (
    *(
        shape.coverage
        for shape in (
            _GRANTEE,
            _GRANT,
            _LIFECYCLE_AND,
            _LIFECYCLE_FILTER,
            _TRANSITION,
            _NONCURRENT,
            _LIFECYCLE_RULE,
            _CORS,
            _NOTIFICATION,
            _NOTIFICATIONS,
            _ACCESS_BLOCK,
            _INVENTORY,
        )
    ),
    _ACL,
    Coverage(LowercaseDict, held=frozenset({"store"})),
    Coverage(TaggingService, held=frozenset({"tags"}), rebuilt=frozenset({"tag_name", "key_name", "value_name"})),
)
