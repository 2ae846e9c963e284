"""What differs between two versions, and whether whoever starts and reads the workflows notices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from holdfast.packages.archive import diff, open_archive
from holdfast.packages.archive.diffing import Change
from holdfast.packages.archive.schemas import narrowings
from tests.archive_kit import FILES, WORKFLOW, archive, with_lock
from tests.test_archive_locks import HEAD, LOCK, NAME, OWN, WHEEL, other, wheel

Schema = dict[str, Any]


def obj(required: str = "", rest: Any = None, **properties: Any) -> Schema:
    whole: Schema = {"type": "object", "properties": properties, "required": required.split()}
    return whole if rest is None else {**whole, "additionalProperties": rest}


INTEGER, NUMBER, TEXT, NOTHING = ({"type": kind} for kind in ("integer", "number", "string", "null"))
MAYBE = {"anyOf": [TEXT, NOTHING]}


def ref(name: str, **definitions: Schema) -> Schema:
    return {"$ref": f"#/$defs/{name}", "$defs": definitions}


LIST = obj("value", value=INTEGER, next={"anyOf": [{"$ref": "#/$defs/List"}, NOTHING]})
ACCEPTED: list[tuple[Any, Any]] = [
    (INTEGER, INTEGER),
    (INTEGER, NUMBER),
    (INTEGER, {}),
    (INTEGER, True),
    (False, INTEGER),
    (TEXT, MAYBE),
    ({"type": ["string", "null"]}, MAYBE),
    (MAYBE, {"type": ["null", "string", "integer"]}),
    ({"const": "a"}, {"enum": ["a", "b"]}),
    ({"enum": ["a", "b"]}, {"enum": ["b", "c", "a"]}),
    ({"enum": ["a", None]}, MAYBE),
    ({"enum": [1, 2]}, {"type": "integer", "minimum": 1, "maximum": 2}),
    ({"const": "ab"}, {"type": "string", "maxLength": 2}),
    (obj("a", a=TEXT), obj("a", a=TEXT, b=TEXT)),
    (obj("a b", a=TEXT, b=TEXT), obj("a", a=TEXT, b=TEXT)),
    (obj("a", a=TEXT), {"type": "object"}),
    (obj("a", a=INTEGER), {"type": "object", "additionalProperties": NUMBER}),
    ({"type": "object", "additionalProperties": INTEGER}, {"type": "object", "additionalProperties": NUMBER}),
    (obj("", False, a=TEXT), obj("", None, a=TEXT)),
    ({"type": "array", "items": INTEGER}, {"type": "array", "items": NUMBER}),
    ({"type": "array", "items": INTEGER, "minItems": 2}, {"type": "array", "minItems": 1}),
    ({"type": "array", "prefixItems": [INTEGER], "items": False}, {"type": "array", "items": INTEGER}),
    ({"type": "string", "format": "date-time"}, TEXT),
    ({"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 0}),
    ({**TEXT, "title": "A", "description": "b", "default": "c"}, {**TEXT, "title": "B"}),
    (ref("A", A=INTEGER), ref("B", B=NUMBER)),
    ({"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": INTEGER}}, INTEGER),
    (ref("List", List=LIST), ref("List", List=LIST)),
    ({**TEXT, "x-odd": [1]}, {**TEXT, "x-odd": [1]}),
]


@pytest.mark.parametrize(("old", "new"), ACCEPTED)
def test_what_is_accepted_still(old: Any, new: Any) -> None:
    assert narrowings(old, new) == ()


REFUSED: list[tuple[Any, Any, str, str]] = [
    (NUMBER, INTEGER, "$", "type number"),
    (INTEGER, False, "$", "nothing"),
    ({}, INTEGER, "$", "any value"),
    (True, INTEGER, "$", "any value"),
    (MAYBE, TEXT, "$", "type null"),
    (TEXT, {"enum": ["a"]}, "$", "certain values"),
    ({"enum": ["a", "b"]}, {"enum": ["a"]}, "$", "'b'"),
    ({"enum": ["a"]}, INTEGER, "$", "'a'"),
    ({"enum": [True]}, {"enum": [1]}, "$", "True"),
    ({"enum": [1, 9]}, {"type": "integer", "maximum": 8}, "$", "maximum"),
    (obj("a", a=TEXT), obj("a b", a=TEXT, b=TEXT), "$.b", "required"),
    (obj("", a=TEXT), obj("a", a=TEXT), "$.a", "required"),
    (obj("", a=TEXT, b=TEXT), obj("", a=TEXT), "$.b", "removed"),
    (obj("", False, a=TEXT, b=TEXT), obj("", False, a=TEXT), "$.b", "removed"),
    (obj("a", a=TEXT), obj("a", a=INTEGER), "$.a", "type string"),
    (obj("", None, a=TEXT), obj("", False, a=TEXT), "$.*", "further"),
    ({"type": "object", "additionalProperties": NUMBER}, obj("", NUMBER, a=INTEGER), "$.a", "type number"),
    (
        {"type": "object", "additionalProperties": NUMBER},
        {"type": "object", "additionalProperties": INTEGER},
        "$.*",
        "type",
    ),
    ({"type": "object"}, obj("", a=INTEGER), "$.a", "any value"),
    (
        obj(a={"type": "array", "items": obj("b", b=NUMBER)}),
        obj(a={"type": "array", "items": obj("b", b=INTEGER)}),
        "$.a[*].b",
        "type",
    ),
    ({"type": "array", "prefixItems": [TEXT, TEXT]}, {"type": "array", "prefixItems": [TEXT, INTEGER]}, "$[1]", "type"),
    ({"type": "array"}, {"type": "array", "minItems": 1}, "$", "minItems"),
    (TEXT, {"type": "string", "format": "uuid"}, "$", "format"),
    (TEXT, {"type": "string", "pattern": "a*"}, "$", "pattern"),
    (TEXT, {"type": "string", "x-odd": 1}, "$", "x-odd"),
    ({"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}, "$", "minimum"),
    (
        ref("List", List=LIST),
        ref("List", List={**LIST, "properties": {**LIST["properties"], "value": TEXT}}),
        "$.value",
        "type",
    ),
    (ref("A", A=INTEGER), ref("A", A=TEXT), "$", "type"),
]


@pytest.mark.parametrize(("old", "new", "path", "problem"), REFUSED)
def test_what_is_no_longer_accepted(old: Any, new: Any, path: str, problem: str) -> None:
    (found, *more) = narrowings(old, new)
    assert not more
    assert found.path == path
    assert problem in found.problem


def test_results_may_have_more_than_their_readers_know() -> None:
    more, less = obj("a", a=TEXT, b=TEXT), obj("a", a=TEXT)
    assert narrowings(more, less)
    assert not narrowings(more, less, surplus=True)
    assert narrowings(more, {**less, "additionalProperties": False}, surplus=True)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.org"},
        {"$ref": 7},
        ref("A", A={"$ref": "#/$defs/A"}),
        ref("A", A={"anyOf": [{"$ref": "#/$defs/A"}]}),
        ref("A0", **{f"A{n}": {"anyOf": [{"$ref": f"#/$defs/A{n + 1}"}] * 2} for n in range(40)}, A40=TEXT),
        {"allOf": [TEXT, INTEGER]},
        {"anyOf": [TEXT], "minLength": 3},
        {"type": "object", "properties": []},
        {"type": "object", "required": "a"},
        {"type": "array", "items": 7},
        {"minimum": "a"},
    ],
)
def test_what_cannot_be_compared_counts_as_refused(schema: Schema) -> None:
    for found in (narrowings(INTEGER, schema), narrowings(schema, INTEGER)):
        assert found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = st.one_of(
    st.sampled_from(("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "minimum")),
    st.sampled_from(("properties", "required", "additionalProperties", "items", "prefixItems")),
)
TYPES = st.sampled_from(("string", "integer", "null", "object", "array", "x"))


@settings(max_examples=500, deadline=None)
@given(*[st.dictionaries(KEYWORDS, json_values | TYPES, max_size=4)] * 2)
def test_no_schema_breaks_the_comparison(old: Schema, new: Schema) -> None:
    assert isinstance(narrowings(old, new), tuple)


class Line(msgspec.Struct):
    sku: str
    count: int = 1


@dataclass
class Order:
    lines: list[Line]
    kind: Literal["new", "used"] = "new"
    note: str | None = None


class Person(BaseModel):
    name: str
    friends: list[Person] = []


@pytest.mark.parametrize("kind", [Order, dict[str, Order], tuple[int, str], Line | None, set[int], bytes])
def test_schemas_of_real_types_accept_themselves(kind: Any) -> None:
    schema = msgspec.json.schema(kind)
    assert narrowings(schema, json.loads(json.dumps(schema))) == ()
    assert narrowings(schema, msgspec.json.schema(kind | None)) == ()
    assert narrowings(msgspec.json.schema(kind | float), schema)


def test_schemas_of_models_accept_themselves() -> None:
    schema = Person.model_json_schema()
    assert narrowings(schema, json.loads(json.dumps(schema))) == ()


# -- packages -------------------------------------------------------------------------------------------------


def test_the_same_archive() -> None:
    found = diff(open_archive(archive()), open_archive(archive()))
    assert found.compatible
    assert not found.files
    assert not found.dependencies
    assert [(each.name, each.changed) for each in found.workflows] == [("fulfil", False)]


def test_files() -> None:
    old = open_archive(archive({**FILES, "source/logo.png": b"\x89\0\1", "source/long.txt": b"x\n" * 10_000}))
    files = {**FILES, "source/shop/orders.py": FILES["source/shop/orders.py"].replace(b"return 1", b"return 2")}
    del files["source/shop/templates/mail.txt"]
    new = open_archive(
        archive({**files, "source/logo.png": b"\x89\0\2", "source/long.txt": b"y\n" * 10_000, "source/n": b"1\n"})
    )
    found = {change.path: change for change in diff(old, new).files}
    assert {path: change.change for path, change in found.items()} == {
        "source/logo.png": Change.CHANGED,
        "source/long.txt": Change.CHANGED,
        "source/n": Change.ADDED,
        "source/shop/orders.py": Change.CHANGED,
        "source/shop/templates/mail.txt": Change.REMOVED,
    }
    assert found["source/logo.png"].text is None
    assert found["source/long.txt"].text is None
    text = found["source/shop/orders.py"].text
    assert text is not None
    assert text.splitlines()[:2] == ["--- old/source/shop/orders.py", "+++ new/source/shop/orders.py"]
    assert "-    return 1\n+    return 2" in text
    assert found["source/n"].text is not None
    assert found["source/n"].text.startswith("--- /dev/null\n")


def test_workflows() -> None:
    gone, come = {**WORKFLOW, "name": "gone"}, {**WORKFLOW, "name": "come"}
    changed = {**WORKFLOW, "arguments": obj("order due", order=TEXT, due=TEXT), "result": NUMBER}
    found = diff(open_archive(archive(workflows=[WORKFLOW, gone])), open_archive(archive(workflows=[changed, come])))
    assert (found.workflows_added, found.workflows_removed) == (("come",), ("gone",))
    (workflow,) = found.workflows
    assert (workflow.changed, workflow.compatible, found.compatible) == (True, False, False)
    assert [each.path for each in workflow.arguments] == ["$.due"]
    assert [each.problem for each in workflow.result] == ["a value of type number is no longer accepted"]


def test_a_workflow_that_went_is_no_compatible_change() -> None:
    gone = {**WORKFLOW, "name": "gone"}
    assert not diff(open_archive(archive(workflows=[WORKFLOW, gone])), open_archive(archive())).compatible
    assert diff(open_archive(archive()), open_archive(archive(workflows=[WORKFLOW, gone]))).compatible


def test_dependencies() -> None:
    one = open_archive(with_lock(LOCK, {NAME: WHEEL}))
    newer = (HEAD + OWN + other("rich", 'version = "2"\n' + wheel("rich-2"))).encode()
    two = open_archive(with_lock(newer, {NAME: WHEEL}))
    changes = [(each.name, each.old, each.new) for each in diff(one, two).dependencies]
    assert changes == [("msgspec", ("0.20.0",), ()), ("rich", (), ("2",))]
    assert [each.name for each in diff(open_archive(archive()), one).dependencies] == ["holdfast", "msgspec"]


def test_as_json() -> None:
    old, new = open_archive(archive()), open_archive(archive(workflows=[{**WORKFLOW, "arguments": obj("x", x=TEXT)}]))
    shown = json.loads(json.dumps(diff(old, new).as_object()))
    assert shown["old"] == sha256(archive()).hexdigest()
    assert shown["compatible"] is False
    assert shown["workflows"][0]["arguments"] == [
        {"path": "$.x", "problem": "is required now"},
        {"path": "$.order", "problem": "was removed"},
    ]
