"""Verbs made of others: one list of arguments, one docstring, and types that hold for both."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import update_wrapper, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from holdfast.app.face import Face
from holdfast.store import Transaction

P = ParamSpec("P")
R = TypeVar("R")


def arguments_of(verb: Callable[P, R]) -> Callable[[Callable[..., Any]], Callable[P, Coroutine[Any, Any, R]]]:
    """A coroutine function takes the arguments of ``verb``, and what it gives is what ``verb`` gives."""

    def typed(coroutine_function: Callable[..., Any]) -> Callable[P, Coroutine[Any, Any, R]]:
        return update_wrapper(coroutine_function, verb, assigned=(), updated=())

    return typed


def look_up(find: Callable[Concatenate[Transaction, P], R]) -> Callable[Concatenate[Face, P], R]:
    """A method that reads the store with ``find``."""

    @wraps(find)
    def method(self: Face, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.store.read(lambda tx: find(tx, *args, **kwargs))

    return method
