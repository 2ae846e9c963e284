"""The parameters and results of workflows and steps, on their way to JSON and back."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from types import GenericAlias
from typing import Any, get_type_hints
from uuid import UUID

from holdfast import codec
from holdfast.errors import NotSerialisable
from holdfast.flows.errors import InvalidArguments

_PLAIN = frozenset({str, int, float, bool, bytes, type(None), UUID, datetime, timedelta})


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

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The JSON Schemas of the arguments, by name, and of the result."""
        schema = codec.schema(self._record)
        defined = schema.pop("$defs")
        arguments = defined.pop(schema.pop("$ref").rpartition("/")[2])
        optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [p.name for p in self.parameters if p.default is p.empty and p.kind not in optional]
        arguments |= {"required": sorted(needed)} | ({"$defs": defined} if defined else {})
        return arguments, codec.schema(self.result)

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
