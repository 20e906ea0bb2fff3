"""The code generator that both directions share: a function for each message class. Pure: no I/O."""

from __future__ import annotations

import itertools
import keyword
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from spanner_grpc_sessions.errors import InvalidType

Function = Callable[..., Any]


class Functions:
    """The functions of one direction by message class, each written by a `Writer` at the first request for it.

    Their code may use the names of `namespace`; the well-known types have functions that are not generated.
    """

    def __init__(self, writer: type[Writer], well_known: Mapping[str, Function], namespace: Mapping[str, Any]) -> None:
        self._writer = writer
        self.well_known = well_known
        self.namespace: dict[str, Any] = dict(namespace)
        self.names: dict[Hashable, str] = {}
        self.numbers: itertools.count[int] = itertools.count()

    def of(self, descriptor: Descriptor) -> Function:
        """Return the function for the messages of a descriptor, and compile it at the first request."""
        name = self.names.get(descriptor)
        if name is None:
            name = self._writer(self).write(descriptor)
        function: Function = self.namespace[name]
        return function


class Writer(ABC):
    """Writes and compiles the function for one message class, and those it calls.

    What is not finished is the writer's alone: an exception at any moment, a signal's too, leaves no trace. Nor is
    there a lock, which a fork could leave held: threads that ask at the same time write the same function twice.
    """

    verb: ClassVar[str]
    """What the functions do: their names begin with it."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._names: dict[Hashable, str] = {}
        self._namespace: dict[str, Any] = {}

    def write(self, descriptor: Descriptor) -> str:
        """Add the function for a descriptor, and whatever it needs, to the functions; return its name."""
        name = self._function_name(descriptor)
        # In this order: a name that is found has its function.
        self._functions.namespace.update(self._namespace)
        self._functions.names.update(self._names)
        return name

    @abstractmethod
    def _source(self, name: str, descriptor: Descriptor) -> str:
        """Return the source of the function `name` for the messages of a descriptor."""

    def _function_name(self, descriptor: Descriptor) -> str:
        name = self._name(descriptor)
        if name is None:
            # The name is bound before the fields are read: a message may contain itself.
            well_known = self._functions.well_known.get(descriptor.full_name)
            name = self._names[descriptor] = self._bind(self.verb, well_known)
            if well_known is None:
                self._define(self._source(name, descriptor), descriptor.full_name)
        return name

    def _name(self, key: Hashable) -> str | None:
        return self._names.get(key) or self._functions.names.get(key)

    def _bind(self, prefix: str, value: object) -> str:
        """Give a value a name that the generated code can use, and that no other writer gives."""
        name = f"{prefix}_{next(self._functions.numbers)}"
        self._namespace[name] = value
        return name

    def _bind_once(self, prefix: str, key: Hashable, value: object) -> str:
        name = self._name(key)
        if name is None:
            name = self._names[key] = self._bind(prefix, value)
        return name

    def _define(self, source: str, title: str) -> None:
        # Tracebacks and profiles then name the message that the code is for.
        code = compile(source, f"<{self.verb} {title}>", "exec")
        # The functions look names up among all functions, and are not among them until they are published.
        exec(code, self._functions.namespace, self._namespace)  # noqa: S102 - built from a descriptor, never from a value


def descriptor_of(message_class: Any, expected: str) -> Descriptor:
    """Return the descriptor of a class of protobuf messages; `expected` begins the error for anything else."""
    descriptor = getattr(message_class, "DESCRIPTOR", None)
    # By its own type: `__class__` says anything, as that of a mock.
    given = message_class if issubclass(type(message_class), type) else type(message_class)
    if not (given is message_class and issubclass(given, Message) and isinstance(descriptor, Descriptor)):
        raise InvalidType(f"{expected}, got {given.__name__}") from None
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
