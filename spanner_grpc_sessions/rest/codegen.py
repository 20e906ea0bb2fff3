"""The compiler that both directions share: a function for each message class. Pure: no I/O."""

from __future__ import annotations

import keyword
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from spanner_grpc_sessions.errors import InvalidType

Function = Callable[..., Any]


class Compiler(ABC):
    """Writes, compiles and keeps a function for each message class, except for the well-known types, which have one.

    The names of the functions begin with `verb`, and their code may use the names of `namespace`.
    """

    def __init__(self, verb: str, well_known: Mapping[str, Function], namespace: Mapping[str, Any]) -> None:
        self._verb = verb
        self._well_known = well_known
        self._namespace = dict(namespace)
        self._names: dict[Hashable, str] = {}
        self._compiling = threading.RLock()

    def function(self, descriptor: Descriptor) -> Function:
        """Return the function for the messages of a descriptor, and compile it at the first request. Thread-safe."""
        with self._compiling:
            function: Function = self._namespace[self._function_name(descriptor)]
            return function

    @abstractmethod
    def _source(self, name: str, descriptor: Descriptor) -> str:
        """Return the source of the function `name` for the messages of a descriptor."""

    def _function_name(self, descriptor: Descriptor) -> str:
        name = self._names.get(descriptor)
        if name is None:
            # The name is bound before the fields are read: a message may contain itself.
            name = self._names[descriptor] = self._bind(self._verb, self._well_known.get(descriptor.full_name))
            if descriptor.full_name not in self._well_known:
                self._define(self._source(name, descriptor), descriptor.full_name)
        return name

    def _bind(self, prefix: str, value: object) -> str:
        """Give a value a name that the generated code can use."""
        name = f"{prefix}_{len(self._namespace)}"
        self._namespace[name] = value
        return name

    def _bind_once(self, prefix: str, key: Hashable, value: object) -> str:
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = self._bind(prefix, value)
        return name

    def _define(self, source: str, title: str) -> None:
        # Tracebacks and profiles then name the message that the code is for.
        code = compile(source, f"<{self._verb} {title}>", "exec")
        exec(code, self._namespace)  # noqa: S102 - built from the names in a descriptor, never from a value


def descriptor_of(message_class: object, expected: str) -> Descriptor:
    """Return the descriptor of a class of protobuf messages; `expected` begins the error for anything else."""
    descriptor = getattr(message_class, "DESCRIPTOR", None)
    if not (isinstance(message_class, type) and isinstance(descriptor, Descriptor)):
        given = message_class if isinstance(message_class, type) else type(message_class)
        raise InvalidType(f"{expected}, got {given.__name__}")
    return descriptor


def attribute(field: FieldDescriptor) -> str:
    """Return the code that reads a field of the message `m`."""
    return f"getattr(m, {field.name!r})" if keyword.iskeyword(field.name) else f"m.{field.name}"


def is_map(field: FieldDescriptor) -> bool:
    """Return whether a field is a map, which is repeated too."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def entry_fields(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Return the key and the value field of a map's entries."""
    entry: Any = field.message_type
    return entry.fields_by_name["key"], entry.fields_by_name["value"]


def is_repeated(field: FieldDescriptor) -> bool:
    """Return whether a field is a list or a map."""
    # Protobuf 6 replaced `label` with `is_repeated`: `label` warns there, and protobuf 5 lacks `is_repeated`.
    repeated = getattr(field, "is_repeated", None)
    return bool(getattr(field, "label", None) == FieldDescriptor.LABEL_REPEATED if repeated is None else repeated)
