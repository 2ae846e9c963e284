"""PL-14: the pattern language, the order of routes, and what makes a tie ambiguous, against brute force."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import InvalidInput
from holdfast.gateway import (
    Conditions,
    Route,
    Router,
    RoutingRequest,
    Target,
    match,
    read_routes,
    routes_digest,
    validate,
)
from holdfast.gateway.errors import AmbiguousRoutes, DuplicateRoute, InvalidRequest, InvalidRoute
from holdfast.gateway.matching import model_test
from holdfast.gateway.model import MAX_ROUTES
from holdfast.gateway.overlap import conditions_overlap, patterns_overlap
from holdfast.plans import new_plan

PATTERNS = st.text("ab*?", min_size=1, max_size=4)
TEXTS = ["".join(letters) for size in range(9) for letters in product("abc", repeat=size)]
"""A text that two of the patterns match needs no more characters than both have together, and no fourth letter."""
MODELS = [text for text in TEXTS if 0 < len(text) <= 3]
TARGETS = [Target(provider="p", model=name) for name in "xy"]


def matches(pattern: str, text: str) -> bool:
    """The definition, word by word."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return matches(pattern[1:], text) or (bool(text) and matches(pattern, text[1:]))
    return bool(text) and pattern[0] in (text[0], "?") and matches(pattern[1:], text[1:])


@given(PATTERNS, PATTERNS)
@settings(max_examples=400, deadline=None)
def test_two_patterns_overlap_when_some_text_matches_both(left: str, right: str) -> None:
    size = len((left + right).replace("*", ""))
    both = any(matches(left, text) and matches(right, text) for text in TEXTS if len(text) <= size)
    assert patterns_overlap(left, right) is both
    assert patterns_overlap(right, left) is both


ODD = "a]^-[!"
ODD_TEXTS = ["".join(letters) for size in range(5) for letters in product(f"{ODD}&", repeat=size)]


@given(st.text(f"{ODD}*?", min_size=1, max_size=3), st.text(f"{ODD}*?", min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_characters_that_mean_something_elsewhere_overlap_like_others(left: str, right: str) -> None:
    size = len((left + right).replace("*", ""))
    if size > 4:
        return
    both = any(matches(left, text) and matches(right, text) for text in ODD_TEXTS if len(text) <= size)
    assert patterns_overlap(left, right) is both


@given(st.text("ab*?[]!-.\\\n", min_size=1, max_size=6), st.text("ab[]!-.\\\n", max_size=6))
@settings(max_examples=400, deadline=None)
def test_a_pattern_matches_by_its_definition(pattern: str, text: str) -> None:
    assert bool(model_test(pattern)(text)) is matches(pattern, text)


conditions = st.builds(
    Conditions,
    model=PATTERNS,
    key_id=st.sampled_from([None, "k", "l"]),
    tags=st.dictionaries(st.sampled_from("st"), st.sampled_from("01"), max_size=2),
)
requests = st.builds(
    RoutingRequest,
    model=st.sampled_from(MODELS),
    key_id=st.sampled_from([None, "k", "l", "m"]),
    tags=st.dictionaries(st.sampled_from("stu"), st.sampled_from("012"), max_size=3),
)
routes = st.lists(
    st.builds(
        Route,
        id=st.text("abcé😀", min_size=1, max_size=2),
        priority=st.integers(-1, 2),
        when=conditions,
        target=st.sampled_from(TARGETS),
    ),
    max_size=5,
    unique_by=lambda route: route.id,
)


def fits(when: Conditions, request: RoutingRequest) -> bool:
    return (
        matches(when.model, request.model)
        and when.key_id in (None, request.key_id)
        and when.tags.items() <= dict(request.tags).items()
    )


@given(routes, requests, st.randoms())
@settings(max_examples=400, deadline=None)
def test_the_highest_priority_wins_then_the_first_id(given: list[Route], request: RoutingRequest, chance: Any) -> None:
    fitting = [route for route in given if fits(route.when, request)]
    wanted = min(fitting, key=lambda route: (-route.priority, route.id.encode()), default=None)
    chance.shuffle(given)
    assert match(given, request) == wanted
    assert Router(given).match(request) == wanted


@given(conditions, conditions)
@settings(max_examples=300, deadline=None)
def test_conditions_overlap_when_some_request_meets_both(left: Conditions, right: Conditions) -> None:
    size = len((left.model + right.model).replace("*", ""))
    models = [text for text in TEXTS if len(text) <= size and matches(left.model, text) and matches(right.model, text)]
    tags = [dict(zip("st", values, strict=True)) for values in product("01", repeat=2)]
    asked = (
        RoutingRequest(model=model, key_id=key, tags=carried)
        for model, key, carried in product(models[:1], ("k", "l", "m"), tags)
    )
    both = any(fits(left, request) and fits(right, request) for request in asked)
    assert conditions_overlap(left, right) is both


@given(routes, st.lists(requests, max_size=20))
@settings(max_examples=400, deadline=None)
def test_in_a_valid_set_ids_never_decide_on_the_target(given: list[Route], asked: list[RoutingRequest]) -> None:
    try:
        checked = validate(given)
    except AmbiguousRoutes:
        return
    renamed = [msgspec.structs.replace(route, id=f"{99 - n}") for n, route in enumerate(checked)]
    for request in asked:
        found, other = match(checked, request), match(renamed, request)
        assert (found and found.target) == (other and other.target)


@given(routes, st.randoms())
@settings(deadline=None)
def test_a_set_has_one_digest(given: list[Route], chance: Any) -> None:
    digest = routes_digest(given)
    text = json.dumps(msgspec.to_builtins(given))
    chance.shuffle(given)
    assert routes_digest(given) == digest
    assert routes_digest(msgspec.json.decode(text, type=list[Route])) == digest
    for place, route in enumerate(given):
        changed = msgspec.structs.replace(route, priority=route.priority + 1)
        assert routes_digest([*given[:place], changed, *given[place + 1 :]]) != digest


def test_digests_stay_what_they_are() -> None:
    """Plans are stored under them: a change of the form would refuse every plan that waits."""
    when = Conditions(model="gpt-4*", key_id="k", tags={"b": "1", "a": "é"})
    route = Route(id="r", priority=-1, when=when, target=Target(provider="p", model="m"))
    assert routes_digest([]) == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert routes_digest([route]) == "0ed7487bf6fdc8e785f3a0fad89f31e56f2e7fa50e4d857d7150831df02ad564"


def test_a_hostile_pattern_costs_little() -> None:
    """A backtracking matcher would not come back from this one."""
    pattern, text = "*a" * 90 + "*b", "a" * 5000
    assert not model_test(pattern)(text)
    assert not patterns_overlap("*a" * 90 + "b", "a*" * 90 + "c")


@pytest.mark.parametrize(
    "pattern", ["?" + "a" * 190 + "{:04d}?", "?" + "a*" * 90 + "{:04d}?", "*-model-{:04d}", "model-{:04d}-*"]
)
def test_a_full_set_of_hostile_patterns_costs_little(pattern: str) -> None:
    """They differ only at the end. Compared character by character, half a million pairs would take a minute, during
    which an applier holds the writer."""
    full = [
        Route(id=str(n), when=Conditions(model=pattern.format(n)), target=Target(provider="p", model=str(n)))
        for n in range(MAX_ROUTES)
    ]
    assert len(validate(full)) == MAX_ROUTES


def test_a_set_that_no_plan_could_hold_is_refused() -> None:
    """A plan keeps the set that was live before it: whatever can be live must fit."""
    tags = {f"tag-{n}": "x" * 200 for n in range(32)}
    full = [Route(id=str(n), when=Conditions(model=f"m{n}", tags=tags), target=TARGETS[0]) for n in range(MAX_ROUTES)]
    with pytest.raises(InvalidRoute, match="bytes as JSON"):
        validate(full)


@pytest.mark.parametrize("wrong", [None, 7, "ab", {"a": 1}, Route(id="a", target=TARGETS[0]), [{"id": "a"}]])
def test_what_is_no_set_of_routes_is_refused(wrong: Any) -> None:
    for take in (validate, lambda routes: new_plan(0, routes, created_at=datetime.now(UTC))):
        with pytest.raises(InvalidRoute):
            take(wrong)


def test_a_full_set_is_validated() -> None:
    full = [
        Route(id=str(n), when=Conditions(model=f"model-{n}-*"), target=Target(provider="p", model=str(n)))
        for n in range(MAX_ROUTES)
    ]
    assert len(validate(full)) == MAX_ROUTES
    twin = msgspec.structs.replace(full[7], id="twin", target=TARGETS[0])
    with pytest.raises(AmbiguousRoutes, match="'7' and 'twin' overlap at priority 0") as caught:
        validate([*full[:-1], twin])
    assert (caught.value.first, caught.value.second) == ("7", "twin")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "truncated"),
        ("{}", "Expected `array`"),
        ('[{"id": "a"}]', "missing required field `target`"),
        ('[{"id": "a", "priorty": 1, "target": {"provider": "p", "model": "m"}}]', "unknown field `priorty`"),
        ('[{"id": "a", "target": {"provider": "p", "model": 7}}]', r"\$\[0\].target.model"),
        ('[{"id": "a", "priority": 1.5, "target": {"provider": "p", "model": "m"}}]', r"\$\[0\].priority"),
        ('[{"id": "a", "when": {"tags": ["b"]}, "target": {"provider": "p", "model": "m"}}]', r"\$\[0\].when.tags"),
        ('[{"id": "a\\u0000", "target": {"provider": "p", "model": "m"}}]', "cannot be stored"),
        ("[" * 100_000, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_hostile_texts_are_refused(text: str, found: str) -> None:
    with pytest.raises(InvalidRoute, match=found) as caught:
        read_routes(text)
    assert isinstance(caught.value, InvalidInput)


def test_a_text_of_routes_is_read() -> None:
    target = {"provider": "p", "model": "m"}
    text = json.dumps([{"id": "b", "target": target}, {"id": "a", "priority": 2, "target": target}])
    assert [(route.id, route.priority, route.when) for route in read_routes(text)] == [
        ("a", 2, Conditions()),
        ("b", 0, Conditions()),
    ]
    with pytest.raises(DuplicateRoute, match="'b'"):
        read_routes(text.replace('"a"', '"b"'))


@pytest.mark.parametrize("request_", ["gpt-4o", None, {"model": "gpt-4o"}])
def test_what_is_no_request_is_told_even_where_there_are_no_routes(request_: Any) -> None:
    route = Route(id="all", target=TARGETS[0])
    for routes in ([], [route]):
        with pytest.raises(InvalidRequest, match=r"RoutingRequest\(model="):
            match(routes, request_)


def test_the_remedy_names_what_a_route_holds() -> None:
    for name in (*Route.__struct_fields__, *Conditions.__struct_fields__, *Target.__struct_fields__):
        assert name in InvalidRoute.remedy
