"""Requests to start flows, checked (FL-18)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, to_micros
from holdfast.errors import InvalidId, InvalidInput
from holdfast.flows.durations import seconds
from holdfast.flows.errors import InvalidArguments
from holdfast.flows.names import check_name
from holdfast.flows.workflows import Workflow
from holdfast.ids import new_id_text, new_seed, parse_id
from holdfast.text import check_text

MAX_KEY = 500
MAX_TAGS = 32
MAX_TAG = 200
MAX_PRIORITY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What may be said about a flow besides its arguments.

    Attributes:
        id: its UUID; a fresh one by default.
        key: an idempotency key of the caller's own, unique within the workflow type.
        owner: whose it is, for ``list_by_owner``.
        goal: what it is for, in words.
        tags: names with values to search it by.
        queue: the queue it waits in.
        queue_key: within the queue, whose turn it takes: keys are served in turn.
        priority: within the queue, smaller ones first.
        dedupe: within the queue, at most one flow of this key that has not ended: a second start gives that one.
        delay: seconds or timedelta before it may begin.
        at: the moment before which it may not begin, with a time zone; instead of ``delay``.
    """

    id: UUID | str | None = None
    key: str | None = None
    owner: str = ""
    goal: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    queue: str | None = None
    queue_key: str = ""
    priority: int = 0
    dedupe: str | None = None
    delay: float | timedelta | None = None
    at: datetime | None = None


PLAIN = StartOptions()


class StartKeywords(TypedDict, total=False):
    """:class:`StartOptions` given by name."""

    id: UUID | str | None
    key: str | None
    owner: str
    goal: str
    tags: Mapping[str, str]
    queue: str | None
    queue_key: str
    priority: int
    dedupe: str | None
    delay: float | timedelta | None
    at: datetime | None


_OPTIONS = frozenset(option.name for option in fields(StartOptions))


class Start(NamedTuple):
    """A request to start a flow.

    Attributes:
        id: text of the flow's UUID, the caller's own or a fresh one.
        named: the caller chose the id.
        key: the caller's idempotency key within the workflow type, if any.
        args: canonical JSON object.
        digest: of ``args``.
        seed: of the flow's chance, and the mark of a row that this very request inserted.
        tags: name and value.
        delay: micros before it may begin.
        at: micros before which it may not begin.
        parent: number of the flow that starts it as its child.
        parent_close: what becomes of it when the parent ends: ``cancel`` or ``abandon``.
        depth: how many parents it has above it.
    """

    id: str
    named: bool
    key: str | None
    workflow_type: str
    owner: str
    goal: str
    args: str
    digest: int
    seed: int
    tags: tuple[tuple[str, str], ...] = ()
    queue: str | None = None
    queue_key: str = ""
    priority: int = 0
    dedupe: str | None = None
    delay: int = 0
    at: int | None = None
    parent: int | None = None
    parent_close: str | None = None
    depth: int = 0

    @property
    def immediate(self) -> bool:
        """It may begin at once, wherever there is room."""
        return self.queue is None and self.at is None and not self.delay

    @property
    def tags_text(self) -> str | None:
        """The tags as a JSON object."""
        return codec.encode(dict(self.tags)) if self.tags else None


def split_options(named: Mapping[str, Any]) -> tuple[StartOptions, dict[str, Any]]:
    """The options of a start, and the workflow's own arguments, of all that was given by name."""
    said = {name: value for name, value in named.items() if name in _OPTIONS}
    said["tags"] = said.get("tags") or {}
    return StartOptions(**said), {name: value for name, value in named.items() if name not in _OPTIONS}


def check_named(options: StartOptions, names: Sequence[str], positional: int) -> None:
    """Refuse an option that may be meant for a parameter of the workflow of the same name.

    Args:
        names: of the workflow's parameters.
        positional: how many of them were given by position.

    Raises:
        InvalidArguments: one could be either.
    """
    for name in names[positional:]:
        if hasattr(PLAIN, name) and getattr(options, name) != getattr(PLAIN, name):
            raise InvalidArguments(
                f"{name}= is an option of the start, and a parameter of the workflow.",
                remedy="Pass the workflow's own by position, or call the parameter otherwise.",
            )


def make_start(workflow_type: str, args: str, digest: int, options: StartOptions) -> Start:
    """Raises:
    InvalidId: an empty or malformed id, key or dedupe key (FL-18).
    InvalidTimeout: a delay that cannot be.
    InvalidInput: an option that makes no sense, or that not every database can hold.
    """
    # a group is inserted as one: what the database refuses would cost the others as well
    check_text(options.owner, "owner")
    check_text(options.goal, "goal")
    _check_queue(options)
    return Start(
        id=new_id_text() if options.id is None else str(_chosen_id(options.id)),
        named=options.id is not None,
        key=check_key(options.key, "a key"),
        workflow_type=workflow_type,
        owner=options.owner,
        goal=options.goal,
        args=args,
        digest=digest,
        seed=new_seed(),
        tags=check_tags(options.tags) if options.tags else (),
        queue=options.queue,
        queue_key=options.queue_key,
        priority=options.priority,
        dedupe=check_key(options.dedupe, "a deduplication key"),
        delay=0 if options.delay is None else round(seconds(options.delay, "A delay") * MICROS_PER_SECOND),
        at=None if options.at is None else to_micros(options.at),
    )


def make_named_start(name: str, arguments: Mapping[str, Any], options: StartOptions, max_bytes: int) -> Start:
    """A request for a workflow that this process does not have.

    Args:
        arguments: by name, of JSON types; whether they fit is seen where the workflow is.

    Raises:
        InvalidInput, NotSerialisable, PayloadTooLarge: as :func:`make_start` and the codec.
    """
    check_name(name)
    if not isinstance(arguments, Mapping):
        raise InvalidArguments(f"{arguments!r:.80} are no arguments.", remedy="Pass a dict: names with values.")
    what = f"An argument of {name}"
    encoded, digest = codec.encode_canonical(dict(arguments), what=what, max_bytes=max_bytes)
    return make_start(name, encoded, digest, options)


def make_starts(
    workflow: Workflow[..., Any],
    calls: Iterable[Any],
    options: StartOptions,
    keys: Iterable[str] | None,
    queue_key: str | Callable[..., str],
    max_bytes: int,
) -> list[Start]:
    """A request for each of ``calls``, all of them checked.

    Args:
        calls: a tuple of positional arguments each, or a dict of named ones, or the only argument.
        options: what holds for all of them.
        keys: an idempotency key for each.
        queue_key: for all, or what gives it from a call's arguments.
        max_bytes: limit of a call's arguments as JSON.

    Raises:
        InvalidArguments, NotSerialisable, PayloadTooLarge: the arguments of a call do not fit the workflow.
        InvalidId: an empty or malformed key.
        InvalidInput: not a key for each call, one key for different calls, or as :func:`make_start`.
    """
    common = make_start(workflow.name, "{}", 0, options)
    if callable(queue_key) and options.queue is None:
        raise InvalidInput("queue_key is about a place in a queue.", remedy="Name the queue as well: queue=…")
    if isinstance(calls, str | bytes | Mapping):
        raise InvalidInput(f"{calls!r:.80} is one call, if any.", remedy="Pass a list of calls.")
    wanted = list(calls)
    starts = []
    for call, key in zip(wanted, _keys(keys, len(wanted)), strict=True):
        args, kwargs = _arguments(call)
        encoded, digest = workflow.signature.encode(args, kwargs, max_bytes)
        place = queue_key if isinstance(queue_key, str) else _check_place(queue_key(*args, **kwargs))
        seed = new_seed()
        starts.append(
            common._replace(id=new_id_text(), key=key, args=encoded, digest=digest, seed=seed, queue_key=place)
        )
    _check_repeats(starts)
    return starts


def _arguments(call: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if type(call) is tuple:
        return call, {}
    return ((), call) if type(call) is dict else ((call,), {})


def _keys(keys: Iterable[str] | None, count: int) -> Sequence[str | None]:
    if keys is None:
        return [None] * count
    found = [check_key(key, "a key") for key in keys]
    if len(found) != count:
        raise InvalidInput(f"There are {len(found):,} keys for {count:,} calls.", remedy="Pass a key for each call.")
    return found


def _check_repeats(starts: Sequence[Start]) -> None:
    first: dict[str, int] = {}
    for start in starts:
        if start.key is not None and first.setdefault(start.key, start.digest) != start.digest:
            raise InvalidInput(
                f"The key {start.key!r} is given to different calls.", remedy="Give each call a key of its own."
            )


def _check_place(key: object) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"{key!r:.80} is no queue key.", remedy="Let queue_key give a text.")
    if key:
        check_key(key, "a queue's key")
    return key


def check_key(key: str | None, what: str) -> str | None:
    """Raises:
    InvalidId: ``key`` is empty, too long or not printable.
    """
    found: object = key
    if found is not None and not (isinstance(found, str) and 0 < len(found) <= MAX_KEY and found.isprintable()):
        raise InvalidId(f"{key!r:.80} cannot be {what}.", remedy=f"Use 1 to {MAX_KEY} printable characters.")
    return key


def check_tags(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Raises:
    InvalidInput: too many of them, or a name or value that is no short, printable text.
    """
    if not isinstance(tags, Mapping):
        raise InvalidInput(f"{tags!r:.200} are no tags.", remedy="Pass a dict: names with values.")
    if len(tags) > MAX_TAGS:
        raise InvalidInput(f"A flow cannot have {len(tags)} tags.", remedy=f"Use at most {MAX_TAGS}.")
    texts: list[object] = [*tags.keys(), *tags.values()]
    for text in texts:
        if not isinstance(text, str) or not text or len(text) > MAX_TAG or not text.isprintable():
            raise InvalidInput(
                f"{text!r} cannot be a tag's name or value.", remedy=f"Use 1 to {MAX_TAG} printable characters."
            )
    return tuple(sorted(tags.items()))


def _check_queue(options: StartOptions) -> None:
    if options.queue is None:
        if options.queue_key or options.priority or options.dedupe:
            raise InvalidInput(
                "queue_key, priority and dedupe are about a place in a queue.", remedy="Name the queue as well: queue=…"
            )
    else:
        check_key(options.queue, "the name of a queue")
    _check_place(options.queue_key)
    if type(options.priority) is not int or abs(options.priority) > MAX_PRIORITY:
        raise InvalidInput(
            f"{options.priority!r} is no priority.", remedy=f"Use a whole number of at most {MAX_PRIORITY:,}."
        )
    if options.delay is not None and options.at is not None:
        raise InvalidInput("A flow begins after a delay, or at a moment.", remedy="Pass delay= or at=, not both.")


def _chosen_id(id: UUID | str) -> UUID:
    try:
        return parse_id(id)
    except InvalidId as error:
        remedy = f"{error.remedy} For a business key of your own, pass key=… instead."
        raise InvalidId(error.message, remedy=remedy) from None
