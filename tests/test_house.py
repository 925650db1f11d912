"""The rules of the house that no linter checks: sizes of modules and functions, directions of import, light imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("pdstore", "schemas", "stages", "cli")
MODULES = sorted(path for package in (*ORDER, "bench", "examples", "tests") for path in (ROOT / package).rglob("*.py"))
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc", "core"}
HEAVY = ("torch", "transformers", "sklearn", "skimage", "wandb", "numba")


def _parsed() -> Iterator[tuple[Path, ast.Module]]:
    for path in MODULES:
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def _room(module: str) -> str:
    """``stages.run.runner`` -> stages.run; a module that lies in a package itself is no room."""
    parts = module.split(".")
    is_room = parts[0] in ORDER and len(parts) > 1 and (ROOT / parts[0] / parts[1]).is_dir()
    return ".".join(parts[:2]) if is_room else ""


def test_no_module_is_longer_than_300_lines() -> None:
    """A module that one cannot read in one sitting is split."""
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}


def test_no_function_is_longer_than_50_lines() -> None:
    """A function fits on a screen."""
    found = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in _parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in found.items() if lines > 50} == {}


def test_no_module_is_a_drawer() -> None:
    """Every module is named after what is in it."""
    assert [path for path in MODULES if path.stem in DRAWERS] == []


def test_no_folder_is_flat() -> None:
    """A folder holds at most 20 modules: beyond that it needs rooms."""
    folders = Counter(path.relative_to(ROOT).parent for path in MODULES if path.name != "__init__.py")
    assert {str(folder): count for folder, count in folders.items() if count > 20 and folder.parts[0] in ORDER} == {}


def test_no_two_folders_import_each_other() -> None:
    """The folders of a package have an order: none reads another that reads it, at whatever distance."""
    reads: dict[str, set[str]] = {}
    for path, tree in _parsed():
        room = _room(".".join(path.with_suffix("").parts))
        if path.parts[0] in ORDER and room:
            reads.setdefault(room, set()).update(filter(None, (_room(module) for _, module in _imports(tree))))
    order = TopologicalSorter({room: others - {room} for room, others in reads.items()})
    order.prepare()  # raises CycleError, which names the rooms


def test_every_module_has_a_test_of_its_own_name() -> None:
    """``tests/`` mirrors the packages: the test of a module is found without a search."""
    lacking = [
        str(path)
        for path, _ in _parsed()
        if path.parts[0] in ORDER and path.stem not in {"__init__", "__main__"}
        if not (ROOT / "tests" / path.parent / f"test_{path.stem}.py").exists()
    ]
    assert lacking == []


def test_imports_go_one_way() -> None:
    """Imports are absolute and go pdstore <- schemas <- stages <- cli."""
    wrong = []
    for path, tree in _parsed():
        package = path.parts[0]
        later = ORDER[ORDER.index(package) + 1 :] if package in ORDER else ()
        for line, module in _imports(tree):
            if module.startswith(".") or module.split(".")[0] in later:
                wrong.append(f"{path}:{line} imports {module}")
    assert wrong == []


def test_every_test_states_a_behaviour() -> None:
    """A test's docstring says what holds; its name alone does not."""
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in _parsed()
        if path.parts[0] == "tests"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("module", ["pdstore", "schemas.tables", "schemas.stages"])
def test_the_engine_and_the_schemas_load_no_network_library(module: str) -> None:
    """``import pdstore`` is light: what only stages need is not loaded with it."""
    program = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_the_engine_loads_in_under_a_second() -> None:
    """``import pdstore`` takes less than a second of a processor, without the start of Python, best of three."""
    program = "import time; start = time.process_time(); import pdstore; print(time.process_time() - start)"
    times = []
    for _ in range(3):
        found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        times.append(float(found.stdout))
    assert min(times) < 1.0
