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

# Each floor stands on the ones above it in this list, never on itself: a new module gets a place here. The modules of
# a subpackage share its place, and arrange themselves.
FLOORS = [
    {"_version", "clocks", "errors", "resources", "stubs", "tasks"},
    {"observers"},
    {
        "forks", "mtls", "names", "options", "pool_errors", "pool_stats", "requests", "rest",
        "status_details",
    },
    {"methods", "pool_options", "retry", "rpc_errors", "token_source", "transport"},
    {"affinity", "credentials", "telemetry", "transcoding"},
    {"headers", "http_errors", "lanes", "streams"},
    {"attempts", "connection", "connection_async", "outfit"},
    {"call_setup"},
    {"call_path", "call_path_async", "stub_channel", "stub_channel_async"},
    {"pool_core", "session_rpcs", "session_rpcs_async"},
    {"client", "client_async"},
    {"background", "leaks", "lease", "multiplexed_age", "pool_failures", "waiter", "waiter_async", "workers"},
    {"pool_reports"},
    {"pool_shell", "pool_shell_async"},
    {"pool", "pool_async"},
    {"multiplexed", "multiplexed_async"},
    {"discovery"},
    {"local"},
    {"cli", "demo"},
    {"__main__"},
]  # fmt: skip
FLOOR_OF = {module: number for number, floor in enumerate(FLOORS) for module in floor}

# Who shows or serves the local server, and what of the library that server may know: it is a server, not a client.
HOSTS_OF_LOCAL = {"cli", "demo"}
LOCAL_KNOWS = {"_version", "errors", "names", "options", "rest", "stubs"}

# What a pure module has no use for, and the one exception: a lock around the compiler of both directions.
IMPURE = {
    "asyncio", "concurrent", "google.auth", "grpc", "http", "io", "logging", "multiprocessing", "os", "pathlib",
    "queue", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib",
}  # fmt: skip
IMPURE_BUILTINS = {"open", "print", "input", "breakpoint"}
ALLOWED = {"affinity": {"threading"}, "rest.compiler": {"threading"}}
PURE = {
    "affinity", "errors", "local.filters", "local.refusal", "methods", "names", "options",
    "multiplexed_age", "pool_errors", "pool_failures", "pool_options", "pool_stats",
    "requests", "retry", "status_details",
}  # fmt: skip
PURE_PACKAGES = {"pool_core", "rest"}


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

    def rooms(self) -> set[str]:
        """Return the modules of the library that it imports."""
        return {_room(name) for name in self.imports() if name.split(".")[0] == PACKAGE} - {self.name}

    def definitions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
        """Yield its functions, methods and classes."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node


MODULES = {module.name: module for module in map(Module, sorted(ROOT.rglob("*.py")))}
ALL_PURE = PURE | {name for name in MODULES if name.split(".")[0] in PURE_PACKAGES}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name or PACKAGE)


def _room(imported: str) -> str:
    """Return the module that a full name lies in: the name itself, or what is before its last dot."""
    inner = imported.removeprefix(PACKAGE).removeprefix(".")
    return inner if inner in MODULES else inner.rpartition(".")[0]


def _place(name: str) -> str:
    """Return the name under which a module has its floor: of a subpackage's modules that of the subpackage."""
    place = name.split(".", maxsplit=1)[0]
    assert place in FLOOR_OF, f"{name} has no place in the list of floors of this test"
    return place


def test_every_place_on_a_floor_is_taken() -> None:
    """The list of floors names only modules that exist, each once."""
    assert sum(map(len, FLOORS)) == len(FLOOR_OF)
    assert set(FLOOR_OF) <= set(MODULES)


@each_module
def test_imports_go_down_only(module: Module) -> None:
    """A module stands on lower floors; the package itself imports everything, when it is asked for."""
    if not module.name:
        return
    place = _place(module.name)
    for room in {_place(room) for room in module.rooms() - {""}} - {place}:
        assert FLOOR_OF[room] < FLOOR_OF[place], f"{module.name} imports {room}"


@each_module
def test_client_and_local_server_do_not_know_each_other(module: Module) -> None:
    """The client never imports the server, and the server nothing of how a client calls."""
    rooms = {_place(room) for room in module.rooms() - {""}}
    if module.name and _place(module.name) == "local":
        assert rooms - {"local"} <= LOCAL_KNOWS
    elif module.name not in HOSTS_OF_LOCAL:
        assert "local" not in rooms


@each_module
def test_generated_code_has_one_door(module: Module) -> None:
    """Only `stubs` names the package of the generated code."""
    names = {name.split(".")[0] for name in module.imports()}
    assert ("spanner_grpc_sessions_pb" in names) is (module.name == "stubs")


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


def test_what_claims_no_grpc_loads_none() -> None:
    """Modules that do without gRPC do so to the end of their imports."""
    names = [name for name in sorted(PURE) if "no gRPC" in MODULES[name].docstring and not name.startswith("local.")]
    assert len(names) >= 5
    program = "".join(f"import {PACKAGE}.{name}\n" for name in names)
    loaded = _modules_after(program + f"import {PACKAGE}.rest\n")
    assert f"{PACKAGE}.{names[0]}" in loaded
    assert not loaded & {"grpc", "google.auth", "asyncio", "random", "socket"}


def test_the_package_alone_loads_nothing() -> None:
    """Importing the package costs next to nothing, and starts no thread."""
    loaded = _modules_after(f"import threading, {PACKAGE}\nassert threading.active_count() == 1\n")
    assert {name for name in loaded if name.startswith(PACKAGE)} == {PACKAGE, f"{PACKAGE}._version"}
    assert not loaded & {"grpc", "google.auth", "google.protobuf", "asyncio", "typing", "dataclasses"}


@each_module
def test_modules_have_at_most_300_lines(module: Module) -> None:
    """A module that grew longer has more than one noun."""
    assert len(module.path.read_text().splitlines()) <= 300


@each_module
def test_functions_have_at_most_50_lines(module: Module) -> None:
    """A function that grew longer has more than one thought."""
    for node in module.definitions():
        if not isinstance(node, ast.ClassDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{module.name}.{node.name}"


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
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


@each_module
def test_all_has_names_that_exist_and_are_public(module: Module) -> None:
    """What a module lists in `__all__` it has, and it lists nothing private."""
    if module.name in {"", "__main__", "_version"}:
        return  # the package is tested below, and the other two have no names to list
    if module.name == "telemetry":
        pytest.importorskip("opentelemetry.trace", reason="OpenTelemetry is not installed")
    loaded = importlib.import_module(f"{PACKAGE}.{module.name}")
    assert loaded.__all__
    for name in loaded.__all__:
        assert hasattr(loaded, name)
        assert not name.startswith("_")


def _type_checked_imports() -> dict[str, str]:
    """Return the names that the package imports for type checkers, with their modules."""
    for node in MODULES[""].tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            imports = [statement for statement in node.body if isinstance(statement, ast.ImportFrom)]
            return {
                alias.name: str(statement.module)
                for statement in imports
                for alias in statement.names
                if str(statement.module).startswith(PACKAGE)
            }
    raise AssertionError("the package has no `if TYPE_CHECKING`")


def test_all_of_the_package_is_what_type_checkers_see() -> None:
    """`__all__`, sorted and without repetition, has the names that type checkers are told, and the version."""
    assert set(spanner_grpc_sessions.__all__) == {*_type_checked_imports(), "__version__"}
    assert len(set(spanner_grpc_sessions.__all__)) == len(spanner_grpc_sessions.__all__)
    assert dir(spanner_grpc_sessions) == sorted(spanner_grpc_sessions.__all__)


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
