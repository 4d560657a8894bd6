"""``python -m tests.imports``: what imports what; fails on a circle and on an arrow that goes up.

Imports inside functions count as well: they hide a circle, they do not break it.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("wambench", "baselines", "tasks", "analysis")
FOUNDATION = "wambench"  # the one that all others may import, and which imports none of them


def modules(root: Path) -> dict[str, Path]:
    """Every module of the packages below ``root`` by its dotted name."""
    out = {}
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return out


def imported(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules among ``known`` that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else str(node.module)


def faults(root: Path) -> list[str]:
    """One line for each arrow that goes up, and one for a circle."""
    known = modules(root)
    graph = {name: set(imported(file, known)) - {name} for name, file in known.items()}
    out = []
    for name, targets in sorted(graph.items()):
        package = name.split(".")[0]
        for target in sorted(targets):
            if target.split(".")[0] not in (package, FOUNDATION):
                out.append(f"{name} imports {target}: {package} may not")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        out.append("a circle: " + " <- ".join(error.args[1]))
    return out


if __name__ == "__main__":
    found = faults(ROOT)
    print("\n".join(found) or "imports: no circle, no arrow up")
    sys.exit(bool(found))
