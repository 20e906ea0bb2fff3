"""Writes the report of a stored run.

python -m benchmarks.report [--results FILE] [--page FILE] [--markdown FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from benchmarks.report.markdown import markdown
from benchmarks.report.page import page
from benchmarks.results import LATEST, RESULTS, read_run

MARKDOWN: Final = RESULTS.parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    """Write both forms."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=LATEST, help="what `python -m benchmarks` stored")
    parser.add_argument("--page", type=Path, default=RESULTS / "report.html", help="where the page goes")
    parser.add_argument("--markdown", type=Path, default=MARKDOWN, help="where the table goes")
    arguments = parser.parse_args()
    run = read_run(arguments.results)
    for path, text in ((arguments.page, page(run)), (arguments.markdown, markdown(run))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path)


if __name__ == "__main__":
    main()
