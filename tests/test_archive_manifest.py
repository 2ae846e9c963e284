"""Manifests: whatever is wrong is named by its place in the JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.packages.archive import Manifest, make_manifest, parse_manifest, this_python, write_manifest
from holdfast.packages.archive.errors import InvalidManifest, UnknownFormat
from tests.archive_kit import WORKFLOW, manifest

FULL = manifest(
    label="1.2 of Monday",
    steps=[{"name": "charge", "entry": "shop.orders:charge"}],
    queues=[
        {"name": "mail", "rate": {"count": 10, "micros": 60_000_000}},
        {"name": "images", "concurrency": 4, "per_worker": 2, "per_key": 1},
    ],
    schedules=[{"name": "nightly", "workflow_type": "fulfil", "cron": "0 3 * * *", "tags": {"a": "b"}}],
    lock="0" * 64,
)
PLAIN = json.loads(write_manifest(FULL))


def test_a_manifest_reads_back() -> None:
    assert parse_manifest(write_manifest(FULL)) == FULL
    assert FULL.workflow("fulfil") == FULL.workflows[0]
    assert FULL.workflow("other") is None


def test_it_is_canonical_json_with_every_key() -> None:
    text = write_manifest(FULL)
    assert text == json.dumps(PLAIN, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert PLAIN["format"] == 1
    assert set(PLAIN) == set(Manifest.__struct_fields__)


def test_what_it_lists_is_by_name() -> None:
    assert [queue.name for queue in FULL.queues] == ["images", "mail"]


def test_whole_seconds_and_fractions() -> None:
    for retention in (0, 60, 0.5, None):
        found = manifest(workflows=[{**WORKFLOW, "retention": retention}])
        assert parse_manifest(write_manifest(found)).workflows[0].retention == retention


def test_this_python() -> None:
    assert manifest(python=this_python()).python == this_python()


def at(path: str, value: Any) -> bytes:
    """The full manifest with another value at a path such as ``workflows.0.entry``; ``...`` takes it away."""
    whole = json.loads(json.dumps(PLAIN))
    *above, last = path.split(".")
    place = whole
    for part in above:
        place = place[int(part)] if part.isdigit() else place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("name", "Shop", "$.name"),
        ("name", "", "$.name"),
        ("name", "shop\n", "$.name"),
        ("name", 7, "$.name"),
        ("name", ..., "$"),
        ("label", "", "$.label"),
        ("label", "a\nb", "$.label"),
        ("label", 1.0, "$.label"),
        ("python", "3", "$.python"),
        ("python", "3.011", "$.python"),
        ("python", "2.7", "$.python"),
        ("modules", [], "$.modules"),
        ("modules", "shop", "$.modules"),
        ("modules", ["shop", "a-b"], "$.modules[1]"),
        ("modules", ["shop", "shop"], "$.modules[1]"),
        ("modules", ["shop", ""], "$.modules[1]"),
        ("workflows", {}, "$.workflows"),
        ("workflows", [WORKFLOW, WORKFLOW], "$.workflows[1]"),
        ("workflows.0.name", "", "$.workflows[0].name"),
        ("workflows.0.name", "x" * 201, "$.workflows[0].name"),
        ("workflows.0.entry", "shop.orders", "$.workflows[0].entry"),
        ("workflows.0.entry", "shop.orders:make.<locals>.flow", "$.workflows[0].entry"),
        ("workflows.0.entry", ":fulfil", "$.workflows[0].entry"),
        ("workflows.0.entry", "a:b:c", "$.workflows[0].entry"),
        ("workflows.0.entry", ..., "$.workflows[0]"),
        ("workflows.0.arguments", None, "$.workflows[0].arguments"),
        ("workflows.0.arguments", [], "$.workflows[0].arguments"),
        ("workflows.0.result", ..., "$.workflows[0]"),
        ("workflows.0.retention", -1, "$.workflows[0].retention"),
        ("workflows.0.more", 1, "$.workflows[0]"),
        ("steps.0.entry", "charge", "$.steps[0].entry"),
        ("queues.0.concurrency", "4", "$.queues[0].concurrency"),
        ("queues.1.rate.count", None, "$.queues[1].rate.count"),
        ("schedules.0.tags", {"a": 1}, "$.schedules[0].tags[...]"),
        ("schedules.0.workflow_type", "", "$.schedules[0].workflow_type"),
        ("lock", "0" * 63, "$.lock"),
        ("lock", "A" * 64, "$.lock"),
        ("more", 1, "$"),
        ("format", "1", "$.format"),
        ("format", 1.5, "$.format"),
        ("format", ..., "$"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, shown: str) -> None:
    with pytest.raises(InvalidManifest) as refused:
        parse_manifest(at(path, value))
    assert refused.value.path == shown
    assert shown in str(refused.value)


@pytest.mark.parametrize("number", [0, 2, -1])
def test_another_format(number: int) -> None:
    with pytest.raises(UnknownFormat, match=f"format {number};"):
        parse_manifest(at("format", number))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"{",
        b'{"format":',
        b"[" * 100_000,
        b'{"format":1,"name":"\\ud800"}',
        b" " * 5_000_000,
    ],
)
def test_what_is_no_manifest(text: bytes) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(text)


@pytest.mark.parametrize("schema", [{"maximum": 2**60}, {"maximum": float("inf")}, {"default": object()}, {1: 2}])
def test_schemas_without_canonical_json(schema: Any) -> None:
    with pytest.raises(InvalidManifest):
        write_manifest(make_manifest({**PLAIN, "workflows": [{**WORKFLOW, "arguments": schema}]}))


@pytest.mark.parametrize("depth", [10, 99, 100, 500, 1000, 5000, 50_000])
def test_how_deep_a_schema_is_nested(depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    text = write_manifest(manifest()).replace(b'"result":{"type":"integer"}', b'"result":' + nested)
    if depth < 100:
        assert write_manifest(parse_manifest(text)) == text
    else:
        with pytest.raises(InvalidManifest):
            parse_manifest(text)
