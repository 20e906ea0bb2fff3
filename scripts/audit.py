"""Looks up known vulnerabilities of what users install, by pip-audit.

    python scripts/audit.py

The newest versions of all dependencies are looked up, with those of the extras. Exit status 1: one of them has a known
vulnerability. Exit status 2: some could not be looked up; pip-audit alone takes that for a success.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from uv import find_uv_bin

ROOT: Final = Path(__file__).parents[1]
COMPILE: Final = ("pip", "compile", "--quiet", "--all-extras", "--generate-hashes", "pyproject.toml", "--output-file")
AUDIT: Final = ("-m", "pip_audit", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--requirement")


def main() -> int:
    """Look up all dependencies; return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        subprocess.run([find_uv_bin(), *COMPILE, requirements], cwd=ROOT, check=True)
        audit = subprocess.run([sys.executable, *AUDIT, requirements], check=False, capture_output=True, text=True)
    if not audit.stdout:
        print(audit.stderr, "not audited: the service did not answer", sep="\n", file=sys.stderr)
        return 2
    return report(json.loads(audit.stdout)["dependencies"])


def report(packages: list[dict[str, Any]]) -> int:
    """Print what pip-audit found out about packages; return the exit status."""
    vulnerable = 0
    for package in packages:
        for found in package.get("vulns", ()):
            vulnerable = 1
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    print(f"{len(packages) - len(skipped)} of {len(packages)} packages audited")
    if skipped:
        print(f"not audited, because the index has no word on them: {', '.join(skipped)}", file=sys.stderr)
    return vulnerable or (2 if skipped else 0)


if __name__ == "__main__":
    raise SystemExit(main())
