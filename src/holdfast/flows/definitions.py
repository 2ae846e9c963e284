"""What users write: workflows and steps.

Both are ordinary functions behind a decorator. Inside a workflow, awaiting a step *is* the durable call; anywhere
else it runs plainly. Types pass through.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import math
from asyncio.events import _get_running_loop
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from datetime import datetime, timedelta
from types import GenericAlias
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, get_type_hints, overload
from uuid import UUID

from holdfast import codec
from holdfast.errors import InvalidInput, NotSerialisable
from holdfast.flows.errors import InvalidArguments, InvalidTimeout, NotAWorkflow, WorkflowExists
from holdfast.store import Transaction
from holdfast.text import check_text

P = ParamSpec("P")
R = TypeVar("R")

MAX_NAME = 200
SLEEP, CANCEL, PATCH = RESERVED = ("sleep", "cancel", "patch")
EVENT, SIGNAL, APPROVAL, START, CHILD = PREFIXES = ("event:", "signal:", "approval:", "start:", "child:")
"""Names under which the engine itself records, and what they begin with."""
MAX_SECONDS = 100 * 365 * 86400.0
_PLAIN = frozenset({str, int, float, bool, bytes, type(None), UUID, datetime, timedelta})


class StepContext(NamedTuple):
    """What a running step can know about itself.

    Attributes:
        flow_id: the text of the UUID of the flow it belongs to.
        run_id: unique within the flow.
        attempt: 1 on the first try.
        pulse: through which it reports and hears that it is not wanted any more.
    """

    flow_id: str
    run_id: str
    attempt: int
    pulse: Pulse

    @property
    def idempotency_key(self) -> str:
        """The same on every try of this call, on any worker; hand it to services that deduplicate."""
        return f"{self.flow_id}/{self.run_id}"

    @property
    def cancelled(self) -> bool:
        """Nobody waits for its result any more: the flow was cancelled, or a time-out won (FL-13)."""
        return self.pulse.abandoned

    @property
    def progress(self) -> StepProgress | None:
        """What this call has reported last, perhaps in a process that died: where it may go on."""
        return self.pulse.progress

    def heartbeat(self, done: float = 0, total: float | None = None, note: str | None = None) -> None:
        """Report progress, from any thread; shown by ``holdfast flow show --follow``. Written now and then.

        Args:
            done, total: of any unit; ``total`` may be unknown.
            note: in words, or whatever helps to go on (see :attr:`progress`).

        Raises:
            asyncio.CancelledError: nobody waits for its result any more; let it pass.
            InvalidInput: numbers that make no sense.
        """
        if not (math.isfinite(done) and done >= 0) or (total is not None and not (math.isfinite(total) and total >= 0)):
            raise InvalidInput(f"{done!r} of {total!r} is no progress.", remedy="Use finite numbers of 0 or more.")
        if self.pulse.abandoned:
            raise asyncio.CancelledError("the step is not waited for any more")
        check_text(note or "", "note")
        self.pulse.beat(StepProgress(done, total, note))


class StepProgress(NamedTuple):
    """How far a step says it is: ``done`` of ``total`` (of any unit, or unknown), in words."""

    done: float
    total: float | None
    note: str | None


class Pulse(Protocol):
    """A running call, as its step sees it."""

    progress: StepProgress | None

    @property
    def abandoned(self) -> bool: ...

    def beat(self, progress: StepProgress) -> None: ...


class Commit(NamedTuple):
    """What a committing step returns: its result, and what is written in the transaction that records it.

    Attributes:
        write: called with the transaction and the number of the step's record.
    """

    value: Any
    write: Callable[[Transaction, int], None]


step_context: ContextVar[StepContext | None] = ContextVar("holdfast_step", default=None)


def current_step() -> StepContext:
    """The context of the step that is running.

    Raises:
        InvalidInput: no step is running here.
    """
    found = step_context.get()
    if found is None:
        raise InvalidInput("No step is running here.", remedy="Call current_step() inside a step of a flow.")
    return found


def seconds(span: float | timedelta, what: str) -> float:
    """``span`` in seconds.

    Raises:
        InvalidTimeout: negative, not a number, or over a hundred years.
    """
    value = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if not 0 <= value <= MAX_SECONDS:
        raise InvalidTimeout(f"{what} cannot be {span!r}.")
    return value


class Signature:
    """A function's parameters and result as the codec sees them."""

    def __init__(self, function: Callable[..., Any], *, skip: int = 0) -> None:
        self.name = function.__qualname__
        full = inspect.signature(function)
        self.parameters = list(full.parameters.values())[skip:]
        self._signature = full.replace(parameters=self.parameters)
        try:
            hints = get_type_hints(function, include_extras=True)
        except NameError:  # names that exist for the type checker only
            hints = {}
        self.result = hints.get("return", Any)
        self.names = tuple(parameter.name for parameter in self.parameters)
        self._simple = all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in self.parameters)
        self._record = codec.record_type(
            function.__name__, {parameter.name: _held(parameter, hints) for parameter in self.parameters}
        )

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Raises:
        InvalidArguments: they do not fit.
        """
        try:
            return self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self.name}(): {error}.") from None

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any], max_bytes: int) -> tuple[str, int]:
        """Arguments as a canonical JSON object by parameter name, checked to read back as annotated, and its digest.

        Raises:
            InvalidArguments, NotSerialisable, PayloadTooLarge: they cannot be a flow's arguments.
        """
        whole = self._simple and not kwargs and len(args) == len(self.names)
        arguments = dict(zip(self.names, args, strict=True)) if whole else self.bind(args, kwargs).arguments
        text, digest = codec.encode_canonical(arguments, what=f"An argument of {self.name}", max_bytes=max_bytes)
        self.decode(text)
        return text, digest

    def decode(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments from what :meth:`encode` wrote, each as its annotation.

        Raises:
            InvalidArguments: they do not fit, or the parameters have changed since.
        """
        try:
            record = codec.decode(text, self._record, what=f"An argument of {self.name}")
        except NotSerialisable as error:
            raise InvalidArguments(f"The arguments do not fit {self.name}(): {error.__cause__}.") from error
        arguments = codec.present_fields(record)
        if self._simple and len(arguments) == len(self.names):
            return tuple(arguments.values()), {}
        bound = inspect.BoundArguments(self._signature, OrderedDict(arguments))
        self.bind(bound.args, bound.kwargs)
        return bound.args, bound.kwargs

    def isolate(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Copies of what could be shared: a step that changed its arguments would change the workflow's own, on
        the first run and not on replay."""
        for arg in args:
            if type(arg) not in _PLAIN:
                return copy.deepcopy(args)
        return args


def _held(parameter: inspect.Parameter, hints: dict[str, Any]) -> Any:
    """The type of what a parameter holds."""
    kind = hints.get(parameter.name, Any)
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return GenericAlias(tuple, (kind, ...))
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return GenericAlias(dict, (str, kind))
    return kind


class Step(Generic[P, R]):
    """A function whose completed calls are recorded. Made by :func:`step`; awaiting a call is the durable call.

    Attributes:
        fn: the function itself, to be called plainly (in a unit test, say).
        name: identifies its records; changing it changes the history a running flow expects.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        name: str | None,
        retries: int,
        backoff: float,
        max_backoff: float,
        timeout: float | timedelta | None,
        raises: tuple[type[Exception], ...],
        committing: bool = False,
    ) -> None:
        self.fn = fn
        self.committing = committing
        self.name = check_name(name or fn.__name__)
        self.retries = retries
        self.backoff = seconds(backoff, "A back-off")
        self.max_backoff = seconds(max_backoff, "A back-off")
        self.timeout = None if timeout is None else seconds(timeout, "A time-out")
        self.raises = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in raises}
        self.asynchronous = inspect.iscoroutinefunction(fn)
        self.transactional = takes_transaction(fn)
        if retries < 0:
            raise InvalidInput(f"Retries cannot be {retries}.", remedy="Use 0 or more.")
        if self.transactional and (self.asynchronous or timeout is not None):
            raise InvalidInput(
                f"The step {self.name} takes a transaction, so it can be neither async nor timed out.",
                remedy="Write it as a plain, quick `def`.",
            )
        self.signature = Signature(fn, skip=int(self.transactional))
        self.argument = f"An argument of {self.name}"
        self.outcome = f"The result of {self.name}"
        self.__doc__ = fn.__doc__
        self.__name__ = fn.__name__
        self.__wrapped__ = fn

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        call = getattr(_get_running_loop(), "call_step", None)
        if call is not None:
            return call(self, args, kwargs)  # type: ignore[no-any-return]
        return self._plainly(args, kwargs)

    async def _plainly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        if self.transactional:
            raise InvalidInput(
                f"The step {self.name} needs a transaction.", remedy=f"Call {self.name}.fn(tx, …), or store.run(…)."
            )
        if self.asynchronous:
            return await self.fn(*args, **kwargs)  # type: ignore[no-any-return]
        return await asyncio.to_thread(self.fn, *args, **kwargs)

    def positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments in one canonical form, however the call spelled them."""
        bound = self.signature.bind(args, kwargs)
        return bound.args, bound.kwargs

    def __repr__(self) -> str:
        return f"<step {self.name}>"


class Workflow(Generic[P, R]):
    """A durable function. Made by :func:`workflow`; start it with ``hf.start``, or await it plainly in a test.

    Attributes:
        fn: the coroutine function itself.
        name: the workflow type under which its flows are stored.
        retention: seconds for which its ended flows are kept; ``None``: for as long as the store's default says.
    """

    def __init__(
        self, fn: Callable[P, Awaitable[R]], *, name: str | None, retention: float | timedelta | None = None
    ) -> None:
        if not inspect.iscoroutinefunction(fn):
            raise InvalidInput(f"The workflow {fn.__name__} is not async.", remedy="Write it as `async def`.")
        self.fn = fn
        self.name = check_name(name or fn.__name__)
        self.retention = None if retention is None else seconds(retention, "A retention")
        self.signature = Signature(fn)
        self.__doc__ = fn.__doc__
        self.__name__ = fn.__name__
        self.__wrapped__ = fn

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self.fn(*args, **kwargs)

    @property
    def origin(self) -> tuple[str, str]:
        """Where it is defined: file and qualified name, the same when imported twice."""
        return self.fn.__code__.co_filename, self.fn.__qualname__

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


class Registry:
    """Workflows by name."""

    def __init__(self, workflows: tuple[Workflow[..., Any], ...] = ()) -> None:
        self._by_name: dict[str, Workflow[..., Any]] = {}
        for found in workflows:
            self.add(found)

    def add(self, workflow: Workflow[..., Any]) -> None:
        """Raises:
        NotAWorkflow: it is something else.
        WorkflowExists: another function has that name.
        """
        if not isinstance(workflow, Workflow):
            raise NotAWorkflow(f"{workflow!r:.200} is no workflow.")
        present = self._by_name.get(workflow.name)
        if present is workflow:
            return
        if present is not None and present.origin != workflow.origin:
            raise WorkflowExists(f"Both {present.origin} and {workflow.origin} are called {workflow.name!r}.")
        self._by_name[workflow.name] = workflow

    def get(self, name: str) -> Workflow[..., Any] | None:
        return self._by_name.get(name)

    def names(self) -> list[str]:
        return sorted(self._by_name)

    def retentions(self) -> dict[str, float | None]:
        """Seconds for which ended flows are kept, by workflow; ``None`` where it does not say."""
        return {name: found.retention for name, found in self._by_name.items()}


module_workflows = Registry()
"""Every ``@workflow`` at the top level of a module that was imported."""


def check_name(name: str) -> str:
    """Raises:
    InvalidInput: ``name`` cannot be the name of a workflow or step.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable() or "#" in name or "@" in name or is_engines(name):
        raise InvalidInput(
            f"{name!r} cannot be a name.",
            remedy=f"Use 1 to {MAX_NAME} printable characters without # and @, none of {', '.join(RESERVED)}, and "
            f"nothing that begins with {', '.join(PREFIXES)}.",
        )
    return name


def is_engines(task: str) -> bool:
    """Whether a record of that task is the engine's own, and no step's."""
    return task in RESERVED or task.startswith(PREFIXES)


def takes_transaction(fn: Callable[..., Any]) -> bool:
    """Whether the first parameter is a transaction: annotated so, or called ``tx`` without an annotation."""
    first = next(iter(inspect.signature(fn).parameters.values()), None)
    if first is None:
        return False
    if first.annotation is inspect.Parameter.empty:
        return first.name == "tx"
    return first.annotation is Transaction or str(first.annotation).rpartition(".")[2] == "Transaction"


@overload
def step(fn: Callable[Concatenate[Transaction, P], R], /) -> Step[P, R]: ...
@overload
def step(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(fn: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    retries: int = 0,
    backoff: float = 0.1,
    max_backoff: float = 30.0,
    timeout: float | timedelta | None = None,
    raises: tuple[type[Exception], ...] = (),
) -> StepDecorator: ...
def step(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    backoff: float = 0.1,
    max_backoff: float = 30.0,
    timeout: float | timedelta | None = None,
    raises: tuple[type[Exception], ...] = (),
) -> Any:
    """Make a step of a function: ``@step`` or ``@step(retries=5)``.

    ``async def`` steps run on the worker's event loop, ``def`` steps in a thread, and a ``def`` step whose first
    parameter is a :class:`~holdfast.Transaction` in a transaction that commits its effect with its record (FL-10).

    Args:
        name: under which calls are recorded; the function's own by default.
        retries: further attempts after the first one failed.
        backoff: seconds before the first retry; doubled for each further one, with full jitter.
        max_backoff: the longest pause between attempts, in seconds.
        timeout: seconds (or timedelta) an attempt may take. A thread cannot be stopped: its late answer is
            refused.
        raises: exception types that the workflow sees as themselves; all others arrive as ``StepFailed``. Their
            ``args`` must be JSON types.

    Raises:
        InvalidInput: an argument makes no sense.
    """

    def make(function: Callable[..., Any]) -> Step[..., Any]:
        return Step(
            function,
            name=name,
            retries=retries,
            backoff=backoff,
            max_backoff=max_backoff,
            timeout=timeout,
            raises=raises,
        )

    return make if fn is None else make(fn)


def committing_step(
    fn: Callable[P, Commit], *, name: str, result: Any = Any, raises: tuple[type[Exception], ...] = ()
) -> Step[P, Any]:
    """A step that does its work in a thread, outside of any transaction, and returns a :class:`Commit`: what that
    writes commits with the step's record. For what is too slow for a transaction, and must be known with the record.

    Args:
        name: under which calls are recorded.
        result: the type that ``Commit.value`` reads back as.
        raises: as for :func:`step`.
    """
    made: Step[P, Any] = Step(
        fn, name=name, retries=0, backoff=0, max_backoff=0, timeout=None, raises=raises, committing=True
    )
    made.signature.result = result
    return made


class StepDecorator:
    """What ``step(…)`` with options returns, for type checkers."""

    @overload
    def __call__(self, fn: Callable[Concatenate[Transaction, P], R], /) -> Step[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, fn: Any, /) -> Any:
        raise NotImplementedError


@overload
def workflow(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *, name: str | None = None, retention: float | timedelta | None = None
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Workflow[P, R]]: ...
def workflow(fn: Any = None, /, *, name: str | None = None, retention: float | timedelta | None = None) -> Any:
    """Make a workflow of a coroutine function: ``@workflow`` or ``@workflow(name="orders.fulfil")``.

    Its code must do the same again when it is run again with the same results of its steps: take time from
    :func:`~holdfast.now`, chance from :func:`~holdfast.random` and :func:`~holdfast.uuid`, and put everything
    that touches the world into steps.

    Args:
        name: the workflow type under which flows are stored; the function's own name by default.
        retention: seconds or timedelta for which flows are kept once they have ended (FL-9); by default for as long as
            the :class:`~holdfast.Holdfast` that serves them says.

    Raises:
        InvalidInput: not an ``async def``.
        WorkflowExists: another module's workflow has that name.
    """

    def make(function: Callable[P, Awaitable[R]]) -> Workflow[P, R]:
        made = Workflow(function, name=name, retention=retention)
        if "<locals>" not in function.__qualname__:
            module_workflows.add(made)
        return made

    return make if fn is None else make(fn)
