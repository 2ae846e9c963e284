"""Checks of restore: WO-2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.worlds.samples import (
    BAD_NAMES,
    ELSEWHERE,
    HERE,
    Subject,
    View,
    added,
    expect_resources,
    expect_view,
    listening,
    put,
    remove,
    snap,
    suite,
    with_resources,
)
from holdfast.worlds import StateView
from holdfast.worlds.errors import InvalidScope, InvalidView, StateViewError
from holdfast.worlds.model import encode_view, path_of
from holdfast.worlds.service import ViewChecker


@suite.check
def restore_replaces_entirely(subject: Subject) -> None:
    """WO-2: after a restore the state is that of the view: what was changed and removed is back, extras are gone."""
    view = put(subject, {1: 1, 2: 1, 3: 1})
    put(subject, {1: 2, 4: 1, 5: 1})
    remove(subject, (2,))
    subject.service.restore(*HERE, view)
    expect_view(snap(subject), view, "the state restored")
    later = put(subject, {2: 3, 6: 1})
    expect_equal(len(added(view, later)) > 0, True, "whether the service goes on after a restore")
    subject.service.restore(*HERE, later)
    expect_view(snap(subject), later, "the later state, restored on itself")


@suite.check
def restore_of_a_snapshot_is_the_identity(subject: Subject) -> None:
    """WO-2: restoring the snapshot just taken changes nothing, and so is no mutation."""
    view = put(subject, {1: 1, 2: 1})
    with listening(subject) as heard:
        subject.service.restore(*HERE, view)
        heard.nothing("restoring the present state")
    expect_view(snap(subject), view, "the state restored on itself")


@suite.check
def restore_of_the_empty_state_empties(subject: Subject) -> None:
    """WO-2: the empty view can be restored, and the full one after it, through JSON alike."""
    service = subject.service
    empty = encode_view(snap(subject))
    full = encode_view(put(subject, {1: 1, 2: 1, 3: 1}))
    for text in (empty, full, empty, full):
        service.restore(*HERE, service.decode(text))
        expect_equal(encode_view(snap(subject)), text, "the state restored")


@suite.check
def restore_touches_no_other_scope(subject: Subject) -> None:
    """WO-2: restore and merge change their own account and region, and no other."""
    view = put(subject, {1: 1, 2: 1})
    others = [put(subject, {1: n, 3: 1}, scope) for n, scope in enumerate(ELSEWHERE, 2)]
    put(subject, {1: 5, 4: 1})
    subject.service.restore(*HERE, view)
    remove(subject, (2,))
    subject.service.merge(*HERE, view, policy="replace")
    subject.service.restore(*HERE, with_resources(view, {}))
    for scope, other in zip(ELSEWHERE, others, strict=True):
        expect_view(snap(subject, scope), other, f"the state of {scope}")


@suite.check
def invalid_views_are_refused(subject: Subject) -> None:
    """WO-2: a view of wrong types, of another service, or with a fault of meaning is InvalidView and names the path;
    whatever else is in it, nothing changes."""
    view = put(subject, {1: 1, 2: 1, 3: 1})
    put(subject, {1: 2, 4: 1})
    now = remove(subject, (2,))
    with listening(subject) as heard:
        for fault in [*_faulty_texts(view), *_faulty_views(subject, view)]:
            for what, act in fault.acts(subject):
                error = expect_raises(StateViewError, f"{what} {fault.what}", act)
                path = getattr(error, "path", None)
                if fault.path is not None:
                    expect(isinstance(error, InvalidView), f"{what} {fault.what} is {type(error).__name__}")
                    expect(fault.path in (path or ""), f"{what} {fault.what}: no {fault.path} in the path {path}")
                expect_view(snap(subject), now, f"the state after {what} {fault.what} was refused")
        heard.nothing("views were refused")


@suite.check
def bad_scopes_are_refused(subject: Subject) -> None:
    """WO-2: an account or region that cannot be one is InvalidScope, for every operation."""
    service = subject.service
    view = put(subject, {1: 1})
    for name in BAD_NAMES:
        for scope in ((name, HERE.region), (HERE.account_id, name)):
            acts: list[Callable[[], object]] = [
                partial(service.snapshot, *scope),
                partial(service.restore, *scope, view),
                partial(service.merge, *scope, view),
                partial(service.notify_state_changed, *scope),
            ]
            for act in acts:
                expect_raises(InvalidScope, f"the scope {scope!r}", act)
    expect_resources(snap(subject), view.resources, "the state after bad scopes were refused")


@dataclass(frozen=True)
class _Fault:
    """A view with a fault, as text or (when it can only be made by hand) as a view.

    Attributes:
        path: a part of what the refusal must name; ``None``: any refusal will do.
    """

    what: str
    path: str | None
    text: str | None = None
    view: Any = None

    def acts(self, subject: Subject) -> list[tuple[str, Callable[[], object]]]:
        service = subject.service
        if self.text is not None:
            text = self.text
            return [("decoding", lambda: service.decode(text))]
        acts: list[tuple[str, Callable[[], object]]] = [
            ("restoring", lambda: service.restore(*HERE, self.view)),
            ("merging", lambda: service.merge(*HERE, self.view)),
            ("replacing by", lambda: service.merge(*HERE, self.view, policy="replace")),
            ("trying", lambda: service.merge(*HERE, self.view, dry_run=True)),
        ]
        if isinstance(service, ViewChecker):
            acts.append(("checking", partial(service.check, self.view)))
        return acts


def _faulty_texts(view: View) -> Iterator[_Fault]:
    fields = json.loads(encode_view(view))
    for text in ("", "{", "null", "[]", "\ud800", f"{encode_view(view)}]", "[" * 100_000):
        yield _Fault(f"the text {text[:9]!r}", "$", text)
    yield _Fault("no resources", "$", json.dumps({k: v for k, v in fields.items() if k != "resources"}))
    yield _Fault("resources that are a list", "$.resources", json.dumps(fields | {"resources": []}))
    yield _Fault("an unknown field", "$", json.dumps(fields | {"no such field": 1}))
    yield _Fault("another service", "$.service", json.dumps(fields | {"service": f"not-{view.service}"}))
    for name, record in fields["resources"].items():
        expect(isinstance(record, dict), f"the record of {name!r} is no JSON object but {json.dumps(record)}")
        wrongs: list[Any] = [None, 17, [], record | {"no such field": 1}]
        for wrong in wrongs:
            resources = fields["resources"] | {name: wrong}
            yield _Fault(f"the record {wrong!r}", path_of(name), json.dumps(fields | {"resources": resources}))


def _faulty_views(subject: Subject, view: View) -> Iterator[_Fault]:
    last = max(view.resources)
    wrongs: list[Any] = [object(), 17, float("nan"), {"no such field": "\ud800"}]
    for wrong in wrongs:
        spoilt = with_resources(view, {**view.resources, last: wrong})
        yield _Fault(f"the record {wrong!r}", path_of(last), view=spoilt)
    yield _Fault("resources that are a list", "$", view=with_resources(view, []))  # type: ignore[arg-type]
    other = StateView(service=f"not-{view.service}", version=view.version, resources=view.resources)
    yield _Fault("another service", "$.service", view=other)
    yield _Fault("what is no view", "$", view=json.loads(encode_view(view)))
    yield _Fault("nothing", "$", view=None)
    for number, (found, path) in enumerate(subject.spoilt(view), 1):
        yield _Fault(f"the subject's spoilt view {number}", path, view=found)
