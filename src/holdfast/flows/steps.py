"""Steps: functions whose completed calls are recorded.

A step is an ordinary function behind a decorator. Inside a workflow, awaiting it *is* the durable call; anywhere
else it runs plainly. Types pass through.
"""

from __future__ import annotations

import asyncio
import inspect
from asyncio.events import _get_running_loop
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar, overload

from holdfast.errors import InvalidInput
from holdfast.flows.durations import seconds
from holdfast.flows.names import check_name
from holdfast.flows.signatures import Signature
from holdfast.store import Transaction

P = ParamSpec("P")
R = TypeVar("R")


class Commit(NamedTuple):
    """What a committing step returns: its result, and what is written in the transaction that records it.

    Attributes:
        write: called with the transaction and the number of the step's record.
    """

    value: Any
    write: Callable[[Transaction, int], None]


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
        self.name = name if committing and name else check_name(name or fn.__name__)
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
