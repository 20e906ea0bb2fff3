"""Compares protos/ with the newest ones that Google publishes, in the npm package google-proto-files.

    python scripts/watch_contract.py

What counts is the contract: messages, fields, enums, RPCs and their options. Exit status 1: they differ, and each
difference is printed, with - what is published and with + what is here. It needs npm and grpcio-tools.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc_tools  # type: ignore[import-not-found]
from google.api import annotations_pb2, client_pb2, field_behavior_pb2  # noqa: F401 - the options that are compared
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

PROTOS: Final = Path(__file__).parents[1] / "protos"
PUBLISHED: Final = "google-proto-files"
# Names of classes in other languages.
_FOREIGN: Final = ("csharp_", "go_", "java_", "php_", "ruby_", "objc_", "swift_", "cc_")


def main() -> int:
    """Compare; return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        version, published = _download(Path(folder))
        files = sorted(str(file.relative_to(PROTOS)) for file in PROTOS.rglob("*.proto"))
        theirs, ours = (set(_lines(root, published, files)) for root in (published, PROTOS))
    differences = [f"- {line}" for line in theirs - ours] + [f"+ {line}" for line in ours - theirs]
    for line in sorted(differences, key=lambda text: text[2:]):
        print(line)
    print(f"protos/ and {version} {'differ' if differences else 'have one contract'}", file=sys.stderr)
    return 1 if differences else 0


def _download(folder: Path) -> tuple[str, Path]:
    """Download the package; return its name with the version, and the folder of its protos."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed")
    packing = subprocess.run(
        [npm, "pack", "--silent", PUBLISHED], cwd=folder, check=True, capture_output=True, text=True
    )
    archive = packing.stdout.split()[-1]
    with tarfile.open(folder / archive) as file:
        file.extractall(folder, filter="data")
    return archive.removesuffix(".tgz"), folder / "package"


def _lines(root: Path, common: Path, files: list[str]) -> Iterator[str]:
    """Yield the contract of the files under a root, a fact a line; what they import may lie in the common folder."""
    with tempfile.NamedTemporaryFile() as output:
        include = Path(grpc_tools.__file__).parent / "_proto"
        arguments = [f"-I{root}", f"-I{common}", f"-I{include}", f"--descriptor_set_out={output.name}", *files]
        if protoc.main(["protoc", *arguments]):
            raise SystemExit(f"the protos in {root} do not compile")
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(output.read())
    for file in descriptors.file:
        for message in file.message_type:
            yield from _message(f"{file.package}.{message.name}", message)
        for enum in file.enum_type:
            yield from _enum(f"{file.package}.{enum.name}", enum)
        for service in file.service:
            yield f"service {service.name} {_options(service)}"
            for rpc in service.method:
                streams = "stream " if rpc.server_streaming else ""
                yield f"rpc {rpc.name}({rpc.input_type}) {streams}{rpc.output_type} {_options(rpc)}"


def _message(name: str, message: Any) -> Iterator[str]:
    yield f"message {name} {_options(message)}"
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
        kind = field.type_name or descriptor_pb2.FieldDescriptorProto.Type.Name(field.type)
        label = descriptor_pb2.FieldDescriptorProto.Label.Name(field.label)
        yield f"{name}.{field.name} = {field.number} {label} {kind} {oneof} {_options(field)}"
    for nested in message.nested_type:
        yield from _message(f"{name}.{nested.name}", nested)
    for enum in message.enum_type:
        yield from _enum(f"{name}.{enum.name}", enum)


def _enum(name: str, enum: Any) -> Iterator[str]:
    for value in enum.value:
        yield f"{name}.{value.name} = {value.number} {_options(value)}"


def _options(thing: Any) -> str:
    """Return the options of a thing in one line, without those for other languages."""
    fields = {field.name: value for field, value in thing.options.ListFields() if not field.name.startswith(_FOREIGN)}
    return " ".join(f"{name}={str(value).strip()!r}" for name, value in sorted(fields.items()))


if __name__ == "__main__":
    raise SystemExit(main())
