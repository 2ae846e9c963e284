"""Secrets Manager: the emulator's secrets into records, and back. Records hold secrets in the clear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
from moto.secretsmanager import models

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.services.given import twins
from holdfast.worlds.aws.services.secretsmanager import shapes
from holdfast.worlds.aws.services.secretsmanager.records import Record, Replica, Secret, SecretVersion
from holdfast.worlds.aws.services.secretsmanager.touches import REPLICA, SECRET, TOUCHES
from holdfast.worlds.model import StateView


class SecretsManagerAdapter(Adapter[Record]):
    """Secrets, each a group with its versions, and replicas of other regions' secrets. Views hold secrets in the
    clear.

    A replica belongs to its own region, what it answers to that of its primary: a restore of one region puts back the
    replicas of that region, and their primaries where they are.
    """

    service_name = "secretsmanager"
    view_type = StateView[Record]
    coverage = shapes.COVERAGE
    touches: ClassVar = TOUCHES
    extra_not_captured: ClassVar = ("what a replica answers, which is in its primary's region",)

    @property
    def backends(self) -> Any:
        return models.secretsmanager_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        return [
            (REPLICA, one.source.region, one.name) if isinstance(one, models.ReplicaSecret) else (SECRET, one.name)
            for one in dict.values(backend.secrets)
        ]

    def read(self, backend: Any, group: Group) -> Part[Record] | None:
        found = dict(_secret(backend, *group[1:]) if group[0] == SECRET else _replica(backend, *group[1:]))
        return Part(backend.region_name, found) if found else None

    def group_of(self, name: str) -> Group:
        kind, _, rest = name.partition("/")
        if kind == "replica":
            region, _, secret = rest.partition("/")
            return REPLICA, region, secret
        return SECRET, rest.partition("/")[2] if kind == "version" else rest

    def beside(self, present: Mapping[str, Record], record: Record) -> Record:
        """A stage stays with the version that has it."""
        if not isinstance(record, SecretVersion):
            return record
        taken = {stage for one in present.values() if isinstance(one, SecretVersion) for stage in one.stages}
        return msgspec.structs.replace(record, stages=[stage for stage in record.stages if stage not in taken])

    def install(self, backend: Any, region: str, resources: Mapping[str, Record]) -> None:
        store = models.SecretsStore()
        for record in resources.values():
            if isinstance(record, Secret):
                secret = shapes.secret_of(record, backend.account_id, region)
                secret.replicas = [shapes.replica_of(status, secret) for status in record.replicas]
                store[record.name] = secret
            elif isinstance(record, Replica):
                store[record.status.arn] = shapes.replica_of(record.status, _primary(record, backend.account_id))
        for name, record in resources.items():
            if isinstance(record, SecretVersion):
                dict.__getitem__(store, self.group_of(name)[1]).versions[record.id] = shapes.version_of(record)
        _relink(backend, store)
        backend.secrets = store

    def check(self, resources: Mapping[str, Record]) -> Iterator[Fault]:
        for name, record in resources.items():
            right = _name_of(name, record)
            if name != right:
                yield Fault(name, "name", f"it is that of {right!r}")
            elif isinstance(record, SecretVersion) and (secret := f"secret/{self.group_of(name)[1]}") not in resources:
                yield Fault(name, "name", f"there is no {secret!r}")
            elif isinstance(record, Secret) and not _has_default(record, resources):
                yield Fault(name, "default_version_id", f"there is no version {record.default_version_id!r}")
            elif isinstance(record, Secret) and not shapes.is_whole(record.first):
                yield Fault(name, "first", "it is no value of a secret")
            elif isinstance(record, SecretVersion) and not shapes.is_value(record.value):
                yield Fault(name, "value", "it is no value of a secret")
        replicas = ((name, record.status.arn) for name, record in resources.items() if isinstance(record, Replica))
        yield from (Fault(name, "status", "another replica has its ARN") for name in twins(replicas))


def _has_default(record: Secret, resources: Mapping[str, Record]) -> bool:
    return record.default_version_id is None or _version(record.default_version_id, record.name) in resources


def _secret(backend: Any, name: str) -> Iterator[tuple[str, Record]]:
    secret = dict.get(backend.secrets, name)
    if secret is not None:
        yield f"secret/{name}", shapes.secret_record(secret)
        for ident, version in secret.versions.items():
            yield _version(ident, name), shapes.version_record(version)


def _replica(backend: Any, region: str = "", name: str = "") -> Iterator[tuple[str, Record]]:
    for one in dict.values(backend.secrets):
        if isinstance(one, models.ReplicaSecret) and (one.source.region, one.name) == (region, name):
            yield f"replica/{region}/{name}", shapes.replica_record(one)


def _version(ident: str, name: str) -> str:
    return f"version/{quote(ident, safe='')}/{name}"


def _name_of(name: str, record: Record) -> str:
    """What the record of that name is to be called."""
    if isinstance(record, Secret):
        return f"secret/{record.name}"
    if isinstance(record, Replica):
        return f"replica/{record.primary_region}/{record.name}"
    parts = name.split("/", 2)
    return _version(record.id, parts[2] if len(parts) == 3 else "NAME")


def _stores(account_id: str) -> dict[str, Any]:
    """What the account has, by region."""
    places: Any = dict.get(models.secretsmanager_backends, account_id, {})
    return {region: backend.secrets for region, backend in dict.items(places)}


def _primary(record: Replica, account_id: str) -> Any:
    store = _stores(account_id).get(record.primary_region, {})
    found = dict.get(store, record.name)
    return shapes.absent_primary(record, account_id) if found is None else found


def _relink(backend: Any, store: Any) -> None:
    """Have the replicas that are in other regions find the new primaries."""
    for region, other in _stores(backend.account_id).items():
        for replica in dict.values(other) if region != backend.region_name else ():
            if isinstance(replica, models.ReplicaSecret) and replica.source.region == backend.region_name:
                replica.source = dict.get(store, replica.name, replica.source)
