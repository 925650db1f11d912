"""What SQL reads of a layer: the gathered rows of its index, and the files of the few blocks that it does not hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from pdstore import layout
from pdstore.files import Files
from pdstore.index.reader import Commits, Source
from pdstore.index.rowfiles import UNIT

__all__ = ["scans"]

_LOG = logging.getLogger(__name__)


def scans(
    files: Files,
    node: str,
    fingerprint: str,
    commits: Commits,
    file: str,
    without: Collection[str] = (),
    uri: Callable[[str], str] | None = None,
) -> list[tuple[list[str], str]]:
    """The Parquet files that together hold one file (rows.parquet or errors.parquet) of every committed unit.

    Args:
        without: gathered rows that are known to be damaged.
        uri: where a file is read; in the store, unless set.

    Returns:
        (URIs, condition) of each scan; the condition is empty, or SQL that leaves out units that no longer count. No
        two have the same condition: a query takes 1 ms to plan a scan, whatever the number of its files.
    """
    uri = uri or files.uri
    found: dict[str, list[str]] = {"": []}
    single = [commits.loose]
    for source in commits.gathered:
        assert source.file is not None, "what is gathered was read from a file of the index"
        rows = source.row_file(file)
        # In an object store that would be two requests per file; what a query reads there was compared before.
        problem = rows.problem(files) if rows is not None and files.is_local else ""
        if rows is not None and rows.path in without:
            problem = problem or "content differs from what was written (sha256)"
        if problem:
            _LOG.warning("%s is left out: %s. Remove it with: pd verify --repair", rows and rows.path, problem)
            single.append(source)
        elif rows is not None:
            found.setdefault(_condition(source), []).append(uri(rows.path))
    names = [name for source in single for name in source.attempts_with(file).values()]
    folder = layout.attempts(node, fingerprint)
    found[""] += [uri(f"{folder}/{name}/{file}") for name in names]
    return [(uris, condition) for condition, uris in found.items() if uris]


def _condition(source: Source) -> str:
    if source.live is None:
        return ""
    live, dead = source.column("unit"), source.dead
    return f"{UNIT} NOT IN ({_listed(dead)})" if len(dead) < len(live) else f"{UNIT} IN ({_listed(live)})"


def _listed(units: Sequence[int]) -> str:
    return ", ".join(map(str, units))
