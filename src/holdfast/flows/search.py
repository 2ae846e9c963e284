"""Finding flows by tag, owner, parent, type, status and time, the newest first, by indexes alone.

One index gives the candidates in order, the other conditions are looked up for each. So a page costs the page where
nearly every candidate fits; where few do, the index matters, and the one with the fewest candidates is taken: of each
of them the first :data:`PROBE` are counted. What remains expensive is a question of which every single condition fits
more flows than that, and all together very few: it looks at all candidates of one of them. A question about no type in
particular is asked of each type: it costs some microseconds for every type that the store has ever seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_micros
from holdfast.flows.engine.port import HALTED
from holdfast.flows.errors import InvalidSearch
from holdfast.flows.inbox.sql import num_of
from holdfast.flows.model import Flow, FlowStatus
from holdfast.flows.requests import check_tags
from holdfast.flows.rows import CREATED, flow_of
from holdfast.ids import parse_id
from holdfast.pages import EVERYTHING, Page, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import check_texts

_q = load_queries("holdfast.flows")
STATUSES = (*FlowStatus, HALTED)
"""What a status may be asked for: those that flows have, and that of flows that are held with an error."""
PROBE = 500
CHUNK = 16
"""At least so many candidates of a stream are fetched at once; then twice as many, and so on."""
MAX_CHUNK = 4096


class Place(NamedTuple):
    """Where a flow is in the order of the search: when it was created (micros), and its number."""

    at: int
    num: int


class Stream(NamedTuple):
    """Candidates that an index gives in order.

    Attributes:
        name: tells a kind's streams apart: workflow type and status.
        place: after which it goes on.
    """

    name: tuple[str, ...]
    place: Place


Fetch = Callable[[Sequence[Stream], int], list[Row]]
"""The next so many candidates of each of these streams: name, created at, number, tags."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; ``None`` where it does not matter.

    Attributes:
        params: of the queries' part ``sought``.
        tags: names with values that a flow must have.
    """

    params: Mapping[str, Any]
    tags: Mapping[str, str]

    def accepts(self, row: Row) -> bool:
        """Whether a candidate has the tags; all else the query has seen to."""
        return not self.tags or self.tags.items() <= codec.decode(row[-1] or "{}", dict[str, str]).items()

    def only(self, **named: Any) -> Question:
        """The question with these conditions alone, and that of time."""
        return Question(dict.fromkeys(self.params) | {"since": self.params["since"]} | named, {})


def search(
    tx: Transaction,
    *,
    tags: Mapping[str, str] | None = None,
    workflow_type: str | None = None,
    status: FlowStatus | str | None = None,
    owner: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    paused: bool | None = None,
    parent: UUID | str | None = None,
    limit: int | None = 100,
    after: str | None = None,
) -> Page[Flow]:
    """Flows that fit all that is asked, the newest first.

    Args:
        tags: names with values, all of which a flow must have.
        workflow_type, owner: what a flow must be.
        status: one of :data:`STATUSES`: a flow's, or ``halted`` (FL-19).
        since, until: when it was created: at the first or later, and before the second; with time zones.
        paused: whether it is held.
        parent: the flow that started it as its child.
        limit: how many at most; ``None``: all.
        after: the cursor of the page before.

    Raises:
        InvalidSearch: a status that does not exist, or a span of time that ends before it begins.
        FlowNotFound: there is no such parent.
        InvalidInput: a tag that cannot be one, a moment without a time zone, a text that no database holds.
        InvalidLimit, InvalidCursor: as for every list; ValueErrors.
    """
    first = -EVERYTHING if since is None else to_micros(since)
    wanted = {
        "workflow_type": workflow_type,
        "status": None if status == HALTED else _status(status),
        "owner": owner,
        "paused": paused,
        "halted": True if status == HALTED else None,
        "parent": None if parent is None else num_of(tx, parse_id(parent)),
        "since": first,
    }
    question = Question(check_texts(wanted), dict(check_tags(tags or {})))
    end = EVERYTHING if until is None else to_micros(until)
    if end < first:
        raise InvalidSearch(f"The span from {since} to {until} ends before it begins.")
    begin = min(Place(end, -EVERYTHING), Place(*parse_cursor(after, 2, EVERYTHING)))
    number = rows_wanted(limit)
    places = _gather(*_driver(tx, question, begin), question.accepts, number)
    rows = tx.fetch(_q["found"], rows=[(place.num,) for place in places])
    rows.sort(key=lambda row: (row[CREATED], row[-1]), reverse=True)
    return page_of(rows, limit, flow_of, lambda row: f"{row[CREATED]}.{row[-1]}")


def _status(status: FlowStatus | str | None) -> str | None:
    if status is not None and status not in list(FlowStatus):
        raise InvalidSearch(f"{status!r} is no status of a flow.", remedy=f"Use one of {', '.join(STATUSES)}.")
    return None if status is None else str(status)


def _driver(tx: Transaction, question: Question, begin: Place) -> tuple[Fetch, list[Stream]]:
    """The streams to follow: those of the index with the fewest candidates."""
    asked = question.params
    found: list[tuple[Question, Callable[[Question], Fetch], list[Stream]]] = []
    single = [Stream((), begin)]
    for name, value in question.tags.items():
        found.append((question.only(), partial(_tagged, tx, name, value), single))
    if asked["owner"] is not None:
        found.append((question.only(owner=asked["owner"]), partial(_single, tx, "search_owner"), single))
    if asked["parent"] is not None:
        found.append((question.only(parent=asked["parent"]), partial(_single, tx, "search_children"), single))
    if asked["paused"] or asked["halted"]:
        found.append((question.only(halted=asked["halted"]), partial(_single, tx, "search_paused"), single))
    if asked["workflow_type"] is not None or asked["status"] is not None or not found:
        kinds = {name: asked[name] for name in ("workflow_type", "status")}
        found.append((question.only(**kinds), partial(_kinds, tx), _kinds_streams(tx, question, begin)))
    if len(found) == 1:
        (_, fetch, streams) = found[0]
        return fetch(question), streams
    sizes = [len(_gather(fetch(alone), streams, lambda row: True, PROBE)) for alone, fetch, streams in found]
    _, fetch, streams = found[sizes.index(min(sizes))]
    return fetch(question), streams


def _gather(fetch: Fetch, streams: Sequence[Stream], accepts: Callable[[Row], bool], number: int) -> list[Place]:
    """The first so many accepted candidates of all streams together.

    Rounds of growing chunks: a stream is asked again only while what it has not told yet may come before the last of
    what was found.
    """
    found: list[Place] = []
    open_streams = list(streams)
    chunk = min(number, MAX_CHUNK) // max(len(streams), 1) + CHUNK
    while open_streams and number:
        rows = fetch(open_streams, chunk)
        found += [Place(row[-3], row[-2]) for row in rows if accepts(row)]
        found = sorted(found, reverse=True)[:number]
        told: dict[tuple[str, ...], list[Place]] = {}
        for row in rows:
            told.setdefault(row[:-3], []).append(Place(row[-3], row[-2]))
        last = found[-1] if len(found) == number else Place(-EVERYTHING, -EVERYTHING)
        open_streams = [
            Stream(name, min(places)) for name, places in told.items() if len(places) == chunk and min(places) > last
        ]
        chunk = min(chunk * 2, MAX_CHUNK)
    return found


def _kinds_streams(tx: Transaction, question: Question, begin: Place) -> list[Stream]:
    asked = question.params
    if asked["workflow_type"] is not None:
        types = [asked["workflow_type"]]
    else:
        types = [name for (name,) in tx.fetch(_q["workflow_types"])]
    statuses = [asked["status"]] if asked["status"] is not None else [str(status) for status in FlowStatus]
    return [Stream((name, status), begin) for name in types for status in statuses]


def _kinds(tx: Transaction, question: Question) -> Fetch:
    def fetch(streams: Sequence[Stream], chunk: int) -> list[Row]:
        rows = [(*stream.name, *stream.place) for stream in streams]
        return tx.fetch(_q["search_kinds"], {**question.params, "limit": chunk}, rows=rows)

    return fetch


def _single(tx: Transaction, query: str, question: Question, **more: str) -> Fetch:
    def fetch(streams: Sequence[Stream], chunk: int) -> list[Row]:
        (stream,) = streams
        return tx.fetch(_q[query], {**question.params, **more, **stream.place._asdict(), "limit": chunk})

    return fetch


def _tagged(tx: Transaction, name: str, value: str, question: Question) -> Fetch:
    return _single(tx, "search_tag", question, name=name, value=value)
