"""What views of EventBridge hold. Times are seconds since 1970. Pure: no I/O."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.given import Seconds, WholeSeconds
from holdfast.worlds.aws.tagging import StrayTags


class EventBus(Resource, frozen=True, kw_only=True, tag="bus"):
    """An event bus: ``bus/NAME``.

    Attributes:
        tags: as they are; ``None`` when it never had any.
        tags_at_creation: as they were given with it.
    """

    name: str
    arn: str
    description: str | None
    kms_key_identifier: str | None
    dead_letter_config: dict[str, Any] | None
    creation_time: Seconds
    last_modified_time: Seconds
    tags: dict[str, Any] | None
    tags_at_creation: list[Any]

    @property
    def path(self) -> tuple[str, ...]:
        return "bus", self.name


class Permission(Resource, frozen=True, kw_only=True, tag="permission"):
    """A statement of a bus's policy: ``permission/BUS/SID``."""

    bus: str
    sid: str
    principal: Any
    action: Any
    resource: Any
    effect: Any
    condition: Any

    @property
    def path(self) -> tuple[str, ...]:
        return "permission", self.bus, self.sid


class Rule(Resource, frozen=True, kw_only=True, tag="rule"):
    """A rule: ``rule/BUS/NAME``.

    Attributes:
        event_pattern: as JSON, as it was given.
        managed_by: the service of AWS that made it: that which an archive is implemented by has one.
        tags: ``None`` when it never had any.
    """

    name: str
    event_bus_name: str
    description: str | None
    event_pattern: str | None
    scheduled_expression: str | None
    role_arn: str | None
    state: str
    managed_by: str | None
    created_by: str
    tags: dict[str, Any] | None

    @property
    def path(self) -> tuple[str, ...]:
        return "rule", self.event_bus_name, self.name


class Target(Resource, frozen=True, kw_only=True, tag="target"):
    """A target of a rule: ``target/BUS/RULE/ID``.

    Attributes:
        settings: all of it, as ``ListTargetsByRule`` has it.
    """

    bus: str
    rule: str
    settings: dict[str, Any]

    @property
    def path(self) -> tuple[str, ...]:
        return "target", self.bus, self.rule, str(self.settings.get("Id"))


class Archive(Resource, frozen=True, kw_only=True, tag="archive"):
    """An archive: ``archive/NAME``. The rule that feeds it is a resource of its own.

    Attributes:
        event_pattern: as JSON, as it was given.
        retention: in days; 0 is for ever.
        uuid: that by which its rule knows it.
    """

    name: str
    arn: str
    source_arn: str
    event_bus_name: str
    description: str | None
    event_pattern: str | None
    retention: int | str
    creation_time: Seconds
    state: str
    uuid: str

    @property
    def path(self) -> tuple[str, ...]:
        return "archive", self.name


class ArchivedEvent(Resource, frozen=True, kw_only=True, tag="archived"):
    """An event in an archive: ``archived/ARCHIVE/MINUTE/ID``, the minute that of its ingestion, since 1970.

    Attributes:
        event: all of it, as its target got it.
        ingestion_time: its own.
        copy: 0, but for the second and later ones of one id: that of ``ID~COPY``.
    """

    archive: str
    id: str
    ingestion_time: Seconds
    event: Any
    copy: int = 0

    @property
    def path(self) -> tuple[str, ...]:
        name = f"{self.id}~{self.copy}" if self.copy else self.id
        return "archived", self.archive, minute_of(self.ingestion_time), name


class Replay(Resource, frozen=True, kw_only=True, tag="replay"):
    """A replay: ``replay/NAME``.

    Attributes:
        event_start_time, event_end_time: as they were given.
        start_time, end_time: of the replay itself.
    """

    name: str
    arn: str
    description: str | None
    source_arn: str
    event_start_time: WholeSeconds | Seconds | str | None
    event_end_time: WholeSeconds | Seconds | str | None
    destination: dict[str, Any]
    state: Literal["STARTING", "RUNNING", "CANCELLING", "COMPLETED", "CANCELLED", "FAILED"]
    start_time: Seconds
    end_time: Seconds | None

    @property
    def path(self) -> tuple[str, ...]:
        return "replay", self.name


class Connection(Resource, frozen=True, kw_only=True, tag="connection"):
    """A connection: ``connection/NAME``.

    Attributes:
        secret_arn: of its secret, which Secrets Manager's view holds.
    """

    name: str
    arn: str
    uuid: UUID
    description: str | None
    authorization_type: str
    auth_parameters: dict[str, Any]
    creation_time: Seconds
    state: str
    secret_arn: str

    @property
    def path(self) -> tuple[str, ...]:
        return "connection", self.name


class ApiDestination(Resource, frozen=True, kw_only=True, tag="api-destination"):
    """An API destination: ``api-destination/NAME``."""

    name: str
    arn: str
    uuid: UUID
    description: str | None
    connection_arn: str
    invocation_endpoint: str
    invocation_rate_limit_per_second: int | str | None
    creation_time: Seconds
    http_method: str
    state: str

    @property
    def path(self) -> tuple[str, ...]:
        return "api-destination", self.name


class PartnerEventSource(Resource, frozen=True, kw_only=True, tag="partner-source"):
    """An event source of a partner, in the partner's account: ``partner-source/NAME``.

    Attributes:
        accounts: those that it was offered to.
    """

    name: str
    arn: str
    created_on: Seconds
    accounts: list[str]
    state: str

    @property
    def path(self) -> tuple[str, ...]:
        return "partner-source", self.name


class EventSource(PartnerEventSource, frozen=True, kw_only=True, tag="source"):
    """The same in the account that it was offered to: ``source/NAME``."""

    @property
    def path(self) -> tuple[str, ...]:
        return "source", self.name


EventsRecord = (
    EventBus
    | Permission
    | Rule
    | Target
    | Archive
    | ArchivedEvent
    | Replay
    | Connection
    | ApiDestination
    | PartnerEventSource
    | EventSource
    | StrayTags
)


def minute_of(seconds: float) -> str:
    """The minute since 1970 that a time is in."""
    return str(int(seconds // 60))
