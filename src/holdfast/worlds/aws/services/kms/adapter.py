"""KMS: the emulator's keys, grants and aliases into records, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from moto.kms import models
from moto.utilities.tagging_service import TaggingService

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.services.given import NOT_WRITTEN, TWINS, has_twins, is_lossless
from holdfast.worlds.aws.services.kms.private_keys import COVERAGE, DER, fault_of
from holdfast.worlds.aws.services.kms.records import Alias, Grant, Key
from holdfast.worlds.aws.services.kms.touches import TOUCHES
from holdfast.worlds.aws.shapes import LOSSLESS, SAME, Coverage, Shape, backend_coverage
from holdfast.worlds.model import StateView

_MATERIAL_SIZES = (16, 24, 32)
"""In bytes, of keys of AES."""
_STACK = dict.fromkeys(("cf_resource_type", "logical_resource_id"), "what CloudFormation notes on what it made")
_KEY = Shape(
    models.Key,
    Key,
    ways={
        "deletion_date": SAME,
        "private_key": DER,
        "enabled": LOSSLESS,
        "policy": LOSSLESS,
        "key_rotation_status": LOSSLESS,
    },
    extra=("tags",),
    rebuilt=("account_id", "region", "grants", "aliases"),
    left=_STACK,
)
_GRANT = Shape(models.Grant, Grant)
_ALIAS = Shape(
    models.Alias, Alias, names={"name": "alias_name", "arn": "alias_arn", "key_id": "target_key_id"}, left=_STACK
)
_TAGGER = Coverage(TaggingService, held=frozenset({"tags"}), rebuilt=frozenset({"tag_name", "key_name", "value_name"}))
_BACKEND = backend_coverage(
    models.KmsBackend,
    held=("keys", "tagger"),
    left={"multi_region_configuration": "which key the emulator replicated last"},
)


class KmsAdapter(Adapter[Key | Grant | Alias]):
    """Keys, each a group with its grants; and aliases."""

    service_name = "kms"
    view_type = StateView[Key | Grant | Alias]
    coverage = (_KEY.coverage, _GRANT.coverage, _ALIAS.coverage, *COVERAGE, _TAGGER, _BACKEND)
    touches: ClassVar = TOUCHES
    extra_not_captured = (
        "custom key stores, imported key material and primary region updates, which the emulator does not have",
        "a second key of an alias that CloudFormation created twice",
    )

    @property
    def backends(self) -> Any:
        return models.kms_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        aliases = dict.fromkeys(name for key in backend.keys.values() for name in key.aliases)
        return [*(("key", ident) for ident in backend.keys), *(("alias", name) for name in aliases)]

    def read(self, backend: Any, group: Group) -> Part[Key | Grant | Alias] | None:
        kind, ident = group
        found = _key_with_grants(backend, ident) if kind == "key" else _alias(backend, ident)
        return Part(backend.region_name, found) if found else None

    def group_of(self, name: str) -> Group:
        kind, _, rest = name.partition("/")
        return ("alias", rest) if kind == "alias" else ("key", rest.partition("/")[0])

    def install(self, backend: Any, region: str, resources: Mapping[str, Key | Grant | Alias]) -> None:
        keys: dict[str, Any] = {}
        tags: dict[str, dict[str, str | None]] = {}
        for record in resources.values():
            if isinstance(record, Key):
                keys[record.id] = _built(record, backend)
                if record.tags is not None:
                    tags[record.id] = dict(record.tags)
        for record in resources.values():
            if isinstance(record, Grant):
                keys[record.key_id].grants[record.id] = _GRANT.build(record)
            elif isinstance(record, Alias):
                keys[record.key_id].aliases[record.name] = _ALIAS.build(record)
        backend.keys, backend.tagger.tags = keys, tags

    def check(self, resources: Mapping[str, Key | Grant | Alias]) -> Iterator[Fault]:
        for name, record in resources.items():
            if name != _name_of(record):
                yield Fault(name, "id", "it is that of another resource")
            elif isinstance(record, Key):
                yield from _faults(name, record)
            elif f"key/{record.key_id}" not in resources:
                yield Fault(name, "key_id", f"there is no key {record.key_id!r}")


def _key_with_grants(backend: Any, ident: str) -> dict[str, Key | Grant | Alias]:
    key = backend.keys.get(ident)
    if key is None:
        return {}
    tags = backend.tagger.tags.get(ident)
    found: dict[str, Key | Grant | Alias] = {
        f"key/{ident}": _KEY.capture(key, tags=None if tags is None else list(tags.items()))
    }
    found.update({f"grant/{ident}/{grant.id}": _GRANT.capture(grant) for grant in key.grants.values()})
    return found


def _alias(backend: Any, name: str) -> dict[str, Key | Grant | Alias]:
    for key in backend.keys.values():
        if name in key.aliases:
            return {f"alias/{name}": _ALIAS.capture(key.aliases[name])}
    return {}


def _built(record: Key, backend: Any) -> Any:
    return _KEY.build(record, account_id=backend.account_id, region=backend.region_name, grants={}, aliases={})


def _name_of(record: Key | Grant | Alias) -> str:
    if isinstance(record, Alias):
        return f"alias/{record.name}"
    return f"key/{record.id}" if isinstance(record, Key) else f"grant/{record.key_id}/{record.id}"


def _faults(name: str, key: Key) -> Iterator[Fault]:
    if "/" in key.id:
        yield Fault(name, "id", "an id has no '/'")
    if len(key.key_material) not in _MATERIAL_SIZES:
        yield Fault(name, "key_material", f"{len(key.key_material)} bytes are no key")
    for field in ("enabled", "policy", "key_rotation_status"):
        if not is_lossless(getattr(key, field)):
            yield Fault(name, field, NOT_WRITTEN)
    if not (key.policy and isinstance(key.policy, str | dict)):
        yield Fault(name, "policy", "it is neither a text nor an object")
    if has_twins(key.tags):
        yield Fault(name, "tags", TWINS)
    fault = fault_of(key.private_key)
    if fault is not None:
        yield Fault(name, "private_key", fault)
