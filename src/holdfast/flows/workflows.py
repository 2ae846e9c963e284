"""Workflows: durable functions, and those that a process knows by name.

A workflow is an ordinary coroutine function behind a decorator. Types pass through.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Generic, ParamSpec, TypeVar, overload

from holdfast.errors import InvalidInput
from holdfast.flows.durations import seconds
from holdfast.flows.errors import NotAWorkflow, WorkflowExists
from holdfast.flows.names import check_name
from holdfast.flows.signatures import Signature

P = ParamSpec("P")
R = TypeVar("R")


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
