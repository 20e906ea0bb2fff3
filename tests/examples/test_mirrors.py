"""An example and its twin in asyncio say the same, but for the waiting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

# Of the twin, and what the other has in its place.
WORDS = {
    "SpannerAsyncStub": "SpannerStub",
    "asyncio.sleep": "time.sleep",
    "Awaitable[T]": "T",
    "AsyncGenerator[list[Cell], None]": "Iterator[list[Cell]]",
    "Async": "",
    " Who may stop early closes it: see `contextlib.aclosing`.": "",
}


class _WithoutWaiting(ast.NodeTransformer):
    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        return ast.FunctionDef(**dict(ast.iter_fields(node)))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        return ast.With(items=node.items, body=node.body)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        return ast.For(target=node.target, iter=node.iter, body=node.body, orelse=node.orelse)

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        # An asynchronous generator has no `yield from`.
        (first, *others) = node.body
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Yield) and not others:
            return ast.Expr(ast.YieldFrom(node.iter))
        return node

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        return node.value


def definitions(path: Path) -> dict[str, str]:
    """Return the functions and classes of a module, without waiting and in the words of the blocking colour."""
    tree = ast.fix_missing_locations(_WithoutWaiting().visit(ast.parse(path.read_text(encoding="utf-8"))))
    found = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for words, others in WORDS.items():
        found = {name: text.replace(words, others) for name, text in found.items()}
    return found


@pytest.mark.parametrize("name", ["transactions", "queries", "mutations"])
def test_twins_say_the_same(name: str, examples: Path) -> None:
    """What the twin defines is what the other defines; it imports what needs no waiting."""
    twin, other = definitions(examples / f"{name}_async.py"), definitions(examples / f"{name}.py")
    assert twin
    assert twin == {name: text for name, text in other.items() if name in twin}
