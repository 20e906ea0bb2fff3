"""Sphinx's settings for the documentation: `make docs`."""

from __future__ import annotations

import inspect
import re
from typing import Any

from spanner_grpc_sessions import __version__

project = "spanner-grpc-sessions"
copyright = "the authors of spanner-grpc-sessions"  # noqa: A001 - Sphinx's name
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "examples"]

html_theme = "furo"
html_title = f"spanner-grpc-sessions {version}"
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

# The docstrings are Google's style; types come from the signatures.
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True
# `after_fork` is for the library alone.
autodoc_default_options = {"members": True, "exclude-members": "after_fork"}
# The stubs are generated, and gRPC's classes have no pages of their own here.
suppress_warnings = ["myst.xref_missing"]

# Names in docstrings are in single backticks.
default_role = "code"


def setup(app: Any) -> None:
    """Prepare docstrings for Sphinx, and leave out what autodoc would show of constructors without parameters."""
    app.connect("autodoc-process-docstring", _convert_tables)
    # Before napoleon, which has 500.
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)
    app.connect("autodoc-skip-member", _skip_member)
    app.connect("autodoc-process-signature", _shorten_types)


def _skip_member(_app: Any, _what: str, name: str, member: Any, _skip: bool, _options: Any) -> bool | None:
    if name == "__init__":
        return set(inspect.signature(member).parameters) <= {"self", "args", "kwargs"} or None
    # The fields of a named tuple are in its docstring.
    return name == "__new__" or type(member).__name__ == "_tuplegetter" or None


def _shorten_types(
    _app: Any, _what: str, _name: str, _object: Any, _options: Any, signature: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    """Do what Sphinx leaves undone where a default is a factory: it cannot read such a signature."""
    if signature is None or "<factory>" not in signature:
        return None
    return re.sub(r"~[\w.]*\b(\w+)", r"\1", signature).replace("<factory>", "…"), returned


def _keep_colons(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Keep napoleon from reading the words before a colon as the type of a property."""
    if what == "property" and lines:
        lines[0] = f": {lines[0]}"


def _convert_tables(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Turn the tables of docstrings, which are Markdown's, into reStructuredText's."""
    converted: list[str] = []
    for line in lines:
        if not line.startswith("|"):
            converted.append(line)
        elif line.startswith("|---"):
            continue
        else:
            if not converted or not converted[-1].startswith("     "):
                converted += [".. list-table::", "   :header-rows: 1", ""]
            for number, cell in enumerate(line.strip("|").split("|")):
                converted.append(f"   {'  ' if number else '* '}- {cell.strip()}")
    lines[:] = converted
