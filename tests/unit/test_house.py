"""The house: which module may import which, what is pure, how long things are, and that all that is public is told."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

import spanner_grpc_sessions

PACKAGE = "spanner_grpc_sessions"
ROOT = Path(spanner_grpc_sessions.__path__[0])

# Who may import whom. A room is a folder, or a module at the top; a new one gets a line here.
_BASE = {"_version", "errors"}
MAY_IMPORT: dict[str, set[str]] = {
    "_version": set(),
    "errors": {"_version"},
    "runtime": _BASE,
    "observers": {*_BASE, "runtime"},
    "service": _BASE,
    "options": {*_BASE, "observers"},
    "rest": {*_BASE, "service"},
    "auth": {*_BASE, "options", "runtime"},
    "transport": {*_BASE, "auth", "options", "runtime", "service"},
    "calls": {*_BASE, "auth", "observers", "options", "rest", "runtime", "service", "transport"},
    "streams": {"calls"},
    "telemetry": {*_BASE, "observers", "service"},
    "client": {*_BASE, "auth", "calls", "options", "rest", "service", "transport"},
    "pool": {*_BASE, "calls", "client", "observers", "options", "rest", "runtime", "service"},
    "multiplexed": {*_BASE, "calls", "client", "observers", "options", "rest", "runtime", "service"},
    "discovery": {*_BASE, "client", "rest", "service"},
    "google_cloud": {*_BASE, "client", "multiplexed", "options", "pool"},
    "local": {*_BASE, "options", "rest", "service"},
    "testing": {*_BASE, "client", "local", "options", "pool", "runtime"},
    "cli": {*_BASE, "auth", "client", "local", "observers", "options", "service", "transport"},
    "__main__": {"cli"},
}

# What a pure module has no use for, and the exception: the parser of queries.
IMPURE = {
    "asyncio", "concurrent", "google.auth", "grpc", "http", "io", "logging", "multiprocessing", "os", "pathlib",
    "queue", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib",
}  # fmt: skip
IMPURE_BUILTINS = {"open", "print", "input", "breakpoint"}
ALLOWED = {"rest.routes": {"urllib"}}
PURE = {
    "auth.renewal", "cli.doctor.diagnosis", "cli.doctor.finding", "errors", "errors.checks", "errors.connecting",
    "errors.details", "errors.origin", "errors.statuses", "local.status", "local.values", "multiplexed.rotation",
    "options", "pool.failures", "pool.options", "pool.stats", "runtime.backoff", "runtime.hosts",
}  # fmt: skip
PURE_ROOMS = {"pool.core", "rest", "service"}
WITHOUT_GRPC = {
    *PURE
    - {
        "cli.doctor.diagnosis",
        "errors.details",
        "local.status",
        "local.values",
        "multiplexed.rotation",
        "pool.failures",
    },
    "rest",
}


@dataclass(frozen=True)
class Module:
    """One file of the library."""

    path: Path

    @property
    def name(self) -> str:
        """Its name within the package: "rest.encode", "" for the package itself."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def tree(self) -> ast.Module:
        """What it says."""
        return ast.parse(self.path.read_text())

    @property
    def docstring(self) -> str:
        """What it says of itself."""
        return ast.get_docstring(self.tree) or ""

    def imports(self) -> Iterator[str]:
        """Yield the full names of what it imports, anywhere in it; "a.b" for `from a import b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} imports relatively"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    @property
    def is_folder(self) -> bool:
        """Whether it is the `__init__` of a folder."""
        return self.path.name == "__init__.py"

    def modules(self) -> set[str]:
        """Return the modules of the library that it imports."""
        return {_module(name) for name in self.imports() if name.split(".")[0] == PACKAGE} - {self.name}

    def definitions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
        """Yield its functions, methods and classes."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node


MODULES = {module.name: module for module in map(Module, sorted(ROOT.rglob("*.py")))}
ALL_PURE = PURE | {name for name in MODULES for room in PURE_ROOMS if f"{name}.".startswith(f"{room}.")}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name or PACKAGE)


def _module(imported: str) -> str:
    """Return the module that a full name lies in: the name itself, or what is before its last dot."""
    inner = imported.removeprefix(PACKAGE).removeprefix(".")
    return inner if inner in MODULES else inner.rpartition(".")[0]


def _room(name: str) -> str:
    """Return the room that a module lies in; a client in asyncio shares the room of its twin."""
    return name.partition(".")[0].removesuffix("_async")


def test_every_room_has_its_line() -> None:
    """The rooms of the list are the ones that there are, and few lie at the top."""
    assert {_room(name) for name in MODULES} - {""} == set(MAY_IMPORT)
    assert len([name for name in MODULES if "." not in name and not MODULES[name].is_folder]) <= 12
    assert len({module.path.parent for module in MODULES.values()}) <= 26


@each_module
def test_rooms_import_what_they_may(module: Module) -> None:
    """A room imports from the rooms on its line, and from itself; the package itself imports on demand."""
    if module.name:
        room = _room(module.name)
        assert {_room(name) for name in module.modules()} - {room, ""} <= MAY_IMPORT[room]


@each_module
def test_folders_do_not_import_in_a_circle(module: Module) -> None:
    """The list itself has no circle: a room never reaches itself through others."""
    if not module.name:
        return
    reached, new = set(), MAY_IMPORT[_room(module.name)]
    while new:
        reached |= new
        new = {further for room in new for further in MAY_IMPORT[room]} - reached
    assert _room(module.name) not in reached


@each_module
def test_only_the_command_line_imports_what_its_extra_brings(module: Module) -> None:
    """A service that imports the library loads neither."""
    imported = {name.partition(".")[0] for name in module.imports()}
    assert not imported & {"click", "rich"} or _room(module.name) == "cli"


def test_every_folder_has_a_contract() -> None:
    """Its `__init__` says in a docstring what it promises."""
    for folder in {module.path.parent for module in MODULES.values()}:
        assert len(ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "") > 60, folder


def test_pure_modules_say_so() -> None:
    """What is meant to be pure claims it, and nothing else does."""
    assert {module.name for module in MODULES.values() if "Pure" in module.docstring} == ALL_PURE


@pytest.mark.parametrize("name", sorted(ALL_PURE))
def test_pure_modules_import_nothing_impure(name: str) -> None:
    """No clock, no random, no threads, no loop, no gRPC, no file and no socket in what decides without waiting."""
    module = MODULES[name]
    imported = {part for full in module.imports() for part in (full, full.split(".")[0], ".".join(full.split(".")[:2]))}
    assert imported & IMPURE <= ALLOWED.get(name, set())
    called = {
        node.func.id for node in ast.walk(module.tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & IMPURE_BUILTINS


def test_what_needs_no_grpc_loads_none() -> None:
    """Modules that do without gRPC do so to the end of their imports."""
    loaded = _modules_after("".join(f"import {PACKAGE}.{name}\n" for name in sorted(WITHOUT_GRPC)))
    assert not loaded & {"grpc", "google.auth", "asyncio", "random", "socket"}


def test_the_package_alone_loads_nothing() -> None:
    """Importing the package costs next to nothing, and starts no thread."""
    loaded = _modules_after(f"import threading, {PACKAGE}\nassert threading.active_count() == 1\n")
    assert {name for name in loaded if name.startswith(PACKAGE)} == {PACKAGE, f"{PACKAGE}._version"}
    assert not loaded & {"grpc", "google.auth", "google.protobuf", "asyncio", "typing", "dataclasses"}


@each_module
def test_modules_have_at_most_400_lines(module: Module) -> None:
    """A module that grew longer has more than one noun."""
    assert len(module.path.read_text().splitlines()) <= 400


@each_module
def test_functions_have_at_most_40_lines(module: Module) -> None:
    """A function that grew longer has more than one thought."""
    for node in module.definitions():
        if not isinstance(node, ast.ClassDef):
            assert (node.end_lineno or 0) - node.lineno < 40, f"{module.name}.{node.name}"


@each_module
def test_everything_public_has_a_docstring(module: Module) -> None:
    """Modules, and the functions, classes and methods without a leading underscore, say what they are for."""
    assert module.docstring
    for node in _public(module.tree):
        assert ast.get_docstring(node), f"{module.name}: {node.name}"


def _public(
    parent: ast.Module | ast.ClassDef,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in parent.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in node.decorator_list):
                continue  # what it is for is said once, where it is defined
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


@pytest.mark.parametrize(
    "name", ["errors", "rest", "discovery", "google_cloud", "local", "observers", "options", "streams", "telemetry"]
)
def test_all_has_names_that_exist_and_are_public(name: str) -> None:
    """What users import from has an `__all__`, and all of it is there."""
    if name == "telemetry":
        pytest.importorskip("opentelemetry.trace", reason="OpenTelemetry is not installed")
    if name == "google_cloud":
        pytest.importorskip("google.cloud.spanner_v1", reason="google-cloud-spanner is not installed")
    loaded = importlib.import_module(f"{PACKAGE}.{name}")
    assert loaded.__all__
    for public in loaded.__all__:
        assert hasattr(loaded, public)
        assert not public.startswith("_")


def _type_checked_imports() -> dict[str, str]:
    """Return the names that the package imports for type checkers, with their modules."""
    return {
        alias.name: str(statement.module)
        for statement in ast.parse((ROOT / "__init__.pyi").read_text()).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def test_all_of_the_package_is_what_type_checkers_see() -> None:
    """`__all__`, sorted and without repetition, has the names that type checkers are told, and the version."""
    assert dir(spanner_grpc_sessions) == sorted({*_type_checked_imports(), "__version__"})
    assert vars(spanner_grpc_sessions)["__all__"] == dir(spanner_grpc_sessions)


def test_every_name_of_the_package_is_loaded_when_it_is_first_used() -> None:
    """Each name comes from the module that type checkers are told, at its first use and not before."""
    program = f"""
import importlib, {PACKAGE} as package
for name, module in {_type_checked_imports()!r}.items():
    assert name not in vars(package), name
    value = getattr(package, name)
    assert value is getattr(importlib.import_module(module), name), name
    assert vars(package)[name] is value, name
try:
    package.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError
"""
    _modules_after(program)


@pytest.mark.parametrize("name", ["ClientOptions", "RetryOptions", "InvalidName", "Session", "DEFAULT"])
def test_names_that_need_no_grpc_load_none(name: str) -> None:
    """Options, errors and types can be used where gRPC is not wanted."""
    assert not _modules_after(f"from {PACKAGE} import {name}") & {"grpc", "google.auth", "google.protobuf"}


def _modules_after(program: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running a program."""
    program += "\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())
