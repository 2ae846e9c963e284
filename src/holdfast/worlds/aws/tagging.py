"""Tags that the emulator keeps by ARN, apart from what they are on."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from moto.utilities.tagging_service import TaggingService

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.shapes import Coverage, plain

TAGGING = Coverage(TaggingService, held=frozenset({"tags"}), rebuilt=frozenset({"tag_name", "key_name", "value_name"}))


class StrayTags(Resource, frozen=True, kw_only=True, tag="tags"):
    """Tags of what is not there, or not any more: ``tags/ARN``. The emulator keeps them, and what is made under that
    ARN has them again."""

    arn: str
    tags: dict[str, Any]

    @property
    def path(self) -> tuple[str, ...]:
        return "tags", self.arn


def tags_of(backend: Any, arn: str) -> dict[str, Any] | None:
    """The tags that are kept for an ARN; ``None`` when it never had any."""
    found = backend.tagger.tags.get(arn)
    return None if found is None else plain(found)


def stray_tags(backend: Any, owned: Container[str]) -> list[StrayTags]:
    """The tags of all ARNs but those ``owned``."""
    return [StrayTags(arn=arn, tags=plain(tags)) for arn, tags in backend.tagger.tags.items() if arn not in owned]
