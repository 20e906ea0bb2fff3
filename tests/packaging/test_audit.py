"""`make audit` ends well only if every package was looked up."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.audit import report

SOUND = {"name": "grpcio", "version": "1.85.3", "vulns": []}
VULNERABLE = {"name": "requests", "version": "2.31.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.32.0"]}]}
UNKNOWN = {
    "name": "protobuf",
    "skip_reason": "Dependency not found on PyPI and could not be audited: protobuf (7.36.2)",
}


@pytest.mark.parametrize(
    ("packages", "status", "audited"),
    [([SOUND], 0, "1 of 1"), ([SOUND, UNKNOWN], 2, "1 of 2"), ([SOUND, UNKNOWN, VULNERABLE], 1, "2 of 3")],
)
def test_a_package_that_was_not_looked_up_fails_the_audit(
    packages: list[dict[str, Any]], status: int, audited: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit alone takes such a package for a sound one. A vulnerability has an exit status of its own."""
    assert report(packages) == status
    printed = capsys.readouterr()
    assert f"{audited} packages audited" in printed.out
    assert ("requests 2.31.0: PYSEC-1" in printed.out) is (VULNERABLE in packages)
    assert ("protobuf" in printed.err) is (UNKNOWN in packages)
