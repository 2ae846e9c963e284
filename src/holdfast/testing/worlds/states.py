"""Checks of snapshots and views: WO-1, WO-7, WO-8, WO-9."""

from __future__ import annotations

import json
import pickle
from contextlib import ExitStack
from functools import partial
from itertools import count
from threading import Event
from typing import Any
from unittest.mock import patch

from holdfast import codec
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.worlds.samples import (
    ELSEWHERE,
    HERE,
    Subject,
    View,
    aside,
    expect_resources,
    expect_view,
    finishes,
    fold,
    listening,
    put,
    remove,
    snap,
    suite,
    told,
    with_resources,
)
from holdfast.worlds import ChangeKind, StateView, diff
from holdfast.worlds.errors import ViewVersion
from holdfast.worlds.model import apply_delta, encode_view, undo_delta

EVERYTHING = {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}


@suite.check
def views_go_to_json_and_back(subject: Subject) -> None:
    """WO-1: a snapshot is a typed view that goes to JSON and back without loss, an empty one too."""
    for view in (snap(subject), put(subject, EVERYTHING)):
        expect(isinstance(view, StateView), f"a snapshot is a {type(view).__name__}")
        text = encode_view(view)
        for form in (text, text.encode(), json.dumps(json.loads(text), indent=2)):
            back = subject.service.decode(form)
            expect_equal(back, view, "the view read back")
            expect_view(back, view, "the JSON of the view read back")
            for name, record in view.resources.items():
                expect_equal(type(back.resources[name]), type(record), f"the type of {name!r} read back")


@suite.check
def snapshots_show_what_was_done(subject: Subject) -> None:
    """WO-1: a snapshot shows each creation, change and removal as soon as it is done."""
    empty = snap(subject)
    expect_equal(empty.resources, {}, "the resources of a fresh service")
    seen = [empty]
    for variants in ({1: 1}, {2: 1}, {1: 2}, {1: 3, 2: 2}):
        seen.append(put(subject, variants))
    expect_equal(len({encode_view(view) for view in seen}), len(seen), "the number of different states")
    expect_resources(remove(subject, (1, 2)), {}, "the resources after all were removed")


@suite.check
def equal_states_give_equal_text(subject: Subject) -> None:
    """WO-1: equal states give the same canonical text, in whatever order their resources came."""
    view = put(subject, EVERYTHING)
    text = encode_view(view)
    expect_equal(encode_view(snap(subject)), text, "the text of a second snapshot")
    turned = with_resources(view, dict(reversed(view.resources.items())))
    expect_equal(encode_view(turned), text, "the text of the view with its resources turned round")
    remove(subject, EVERYTHING)
    subject.service.restore(*HERE, turned)
    expect_equal(encode_view(snap(subject)), text, "the text of the state restored from it")


@suite.check
def snapshots_are_copies(subject: Subject) -> None:
    """WO-1: a snapshot changes neither with the service, nor the service with it."""
    view = put(subject, EVERYTHING)
    text = encode_view(view)
    put(subject, {1: 2})
    remove(subject, (2,))
    expect_equal(encode_view(view), text, "the snapshot after the service went on")
    now = snap(subject)
    kept = encode_view(now)
    now.resources.clear()
    expect_equal(encode_view(snap(subject)), kept, "the state after a snapshot was emptied")


@suite.check
def scopes_are_apart(subject: Subject) -> None:
    """WO-1: what happens in one account and region is not seen in any other."""
    for variant, scope in enumerate((HERE, *ELSEWHERE), 1):
        expect_equal(snap(subject, scope).resources, {}, f"the resources of {scope} before anything happened there")
        put(subject, {1: variant, 2: 1}, scope)
    before = [snap(subject, scope) for scope in ELSEWHERE]
    put(subject, {1: 9, 3: 1})
    remove(subject, (2,))
    for scope, view in zip(ELSEWHERE, before, strict=True):
        expect_view(snap(subject, scope), view, f"the state of {scope}")


@suite.check
def snapshots_are_consistent_cuts(subject: Subject) -> None:
    """WO-1: each snapshot taken while clients write is a state that there was between two mutations, the next one
    the same or a later one."""
    start = put(subject, {1: 1, 2: 1, 3: 1})
    enough = Event()
    with listening(subject) as heard:
        writers = [aside(partial(_write_pairs, subject, n, enough)) for n in range(1, 4)]
        snapshots = [snap(subject) for _ in range(40)]
        enough.set()
        for writer in writers:
            finishes(writer, "writing pairs")
        states = [encode_view(view) for view in (start, *fold(start, told(heard.take())))]
    place = 0
    for view in snapshots:
        text = encode_view(view)
        expect(text in states, f"a snapshot shows a state that never was: {text}")
        expect(text in states[place:], f"a snapshot shows a state from before the last one: {text}")
        place = states.index(text, place)
    expect_equal(encode_view(snap(subject)), states[-1], "the state to which all deltas lead")


@suite.check
def views_are_canonical_and_versioned(subject: Subject) -> None:
    """WO-7: a view names its service and version; its text is JSON with sorted keys and nothing between."""
    view = put(subject, EVERYTHING)
    expect_equal(view.service, subject.service.service_name, "the service that the view names")
    expect(type(view.version) is int and view.version > 0, f"{view.version!r} is not a version")
    text = encode_view(view)
    head = json.loads(text, object_pairs_hook=_sorted_pairs)
    expect_equal((head["service"], head["version"]), (view.service, view.version), "service and version in the JSON")
    expect("\n" not in text and '": ' not in text.replace('\\"', ""), "there is space between the JSON's tokens")


@suite.check
def other_versions_are_refused(subject: Subject) -> None:
    """WO-7: a view of another version, or of none, is ViewVersion, and nothing changes."""
    view = put(subject, {1: 1, 2: 1})
    now = put(subject, {1: 2})
    service = subject.service
    fields = json.loads(encode_view(view))
    versions: list[Any] = [view.version + 1, view.version - 1, str(view.version), float(view.version), None, [], True]
    with listening(subject) as heard:
        for version in versions:
            text = json.dumps(fields | {"version": version})
            other: View = StateView(service=view.service, version=version, resources=view.resources)
            expect_raises(ViewVersion, f"decoding version {version!r}", partial(service.decode, text))
            expect_raises(ViewVersion, f"restoring version {version!r}", partial(service.restore, *HERE, other))
            expect_raises(ViewVersion, f"merging version {version!r}", partial(service.merge, *HERE, other))
        del fields["version"]
        expect_raises(ViewVersion, "decoding no version", partial(service.decode, json.dumps(fields)))
        heard.nothing("views of other versions were refused")
    expect_view(snap(subject), now, "the state after views of other versions were refused")


@suite.check
def nothing_is_pickled(subject: Subject) -> None:
    """WO-7: views are taken, read, restored and merged without pickle."""
    put(subject, EVERYTHING)
    with ExitStack() as stack:
        for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
            stack.enter_context(patch.object(pickle, name, _refuse_to_pickle))
        view = subject.service.decode(encode_view(snap(subject)))
        put(subject, {1: 2})
        subject.service.restore(*HERE, view)
        subject.service.merge(*HERE, view)
    expect_view(snap(subject), view, "the state restored")


@suite.check
def views_list_what_they_leave_out(subject: Subject) -> None:
    """WO-8: a view lists in words what it did not capture, the same for every state, in its JSON too."""
    empty = snap(subject)
    view = put(subject, EVERYTHING)
    expect_equal(view.not_captured, empty.not_captured, "what a full view leaves out")
    expect(type(view.not_captured) is tuple, f"not_captured is a {type(view.not_captured).__name__}")
    for item in view.not_captured:
        expect(bool(str(item).strip()), f"{item!r} says nothing of what was left out")
    listed = json.loads(encode_view(view)).get("not_captured")
    expect_equal(listed, list(view.not_captured), "what the JSON says was left out")
    expect_equal(subject.service.decode(encode_view(view)).not_captured, view.not_captured, "and what is read back")


@suite.check
def diffs_are_by_resource(subject: Subject) -> None:
    """WO-9: equal states differ by nothing; others by one change a resource, which says what it was and is."""
    first = put(subject, {1: 1, 2: 1, 3: 1})
    expect_equal(diff(first.resources, snap(subject).resources), (), "the diff of equal states")
    second = put(subject, {1: 2, 4: 1})
    third = remove(subject, (2,))
    delta = diff(first.resources, third.resources)
    names = [change.resource for change in delta]
    expect_equal(names, sorted(set(names)), "the resources of the diff, once each, in order")
    for change in delta:
        expect_equal(change.before, first.resources.get(change.resource), f"{change.resource!r} before")
        expect_equal(change.after, third.resources.get(change.resource), f"{change.resource!r} after")
    kinds = {change.kind for change in diff(first.resources, second.resources)}
    expect(ChangeKind.DELETED not in kinds, "what only came and changed shows as deleted")
    expect_equal({change.kind for change in delta}, set(ChangeKind), "the kinds of change")
    expect(bool(codec.encode(delta)), "the diff has no JSON")


@suite.check
def diffs_lead_from_one_to_the_other(subject: Subject) -> None:
    """WO-9: a diff applied to the one state gives the other; undone, the first; a restore tells just that diff."""
    first = put(subject, {1: 1, 2: 1, 3: 1})
    put(subject, {1: 2, 4: 1})
    second = remove(subject, (2,))
    delta = diff(second.resources, first.resources)
    resources = dict(second.resources)
    apply_delta(resources, delta)
    expect_resources(first, resources, "the state that the diff leads to")
    undo_delta(resources, delta)
    expect_resources(second, resources, "the state that undoing it leads to")
    with listening(subject) as heard:
        subject.service.restore(*HERE, first)
        expect_equal(told(heard.take()), [delta], "the deltas that a restore tells")


def _write_pairs(subject: Subject, n: int, enough: Event) -> None:
    for variant in count(10 * n, 100):
        subject.put_pair(*HERE, n, n % 3 + 1, variant)
        if enough.is_set():
            break


def _sorted_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    expect_equal(names, sorted(names), "the order of keys")
    return dict(pairs)


def _refuse_to_pickle(*args: object, **options: object) -> Any:
    raise AssertionError("something was pickled")
