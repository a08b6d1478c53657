"""The files of this repository, as the tests of this folder look at them."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("graphql_api", "migrations", "tests", "benchmarks", "client_examples")
BUILT = {"node_modules", "dist", "__pycache__"}


def python_files(*folders: str) -> Iterator[Path]:
    """Every Python file below the folders (default: all that hold code)."""
    for top in folders or CODE:
        for folder, below, names in os.walk(ROOT / top):
            # what is built may change meanwhile
            below[:] = sorted(set(below) - BUILT)
            yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def markdown_files() -> list[Path]:
    """Every page of documentation."""
    folders = ROOT / "docs", ROOT / "client_examples"
    return [*sorted(ROOT.glob("*.md")), *(page for folder in folders for page in sorted(folder.rglob("*.md")))]


def shown(path: Path) -> str:
    """The path from the root, for messages."""
    return path.relative_to(ROOT).as_posix()
