"""``complete.json`` of a layer: all of its units were committed at some time.

From then on a unit that is not committed was withdrawn, which leaves a record; or else its manifest was lost, which
nobody would see otherwise: its rows would only be missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import Any

from pdstore import layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.files.local import sync_folder
from pdstore.files.refusals import refusals
from pdstore.records.sealed import seal, unseal

__all__ = ["check_complete", "committed_units", "completion_problem", "listed_units", "lost_units", "write_complete"]


def write_complete(files: Files, node: str, fingerprint: str, num_units: int) -> None:
    """Note that the layer is complete, unless it is noted already."""
    path = layout.complete(node, fingerprint)
    if not files.exists(path):
        if files.is_local:
            # A worker that was killed may have left the name of its last commit in memory; the note relies on it.
            with refusals(path, is_writing=True), contextlib.suppress(FileNotFoundError):
                sync_folder(files.full(layout.commits(node, fingerprint)))
        files.create(path, seal({"node": node, "layer": fingerprint, "units": num_units}))


def check_complete(
    files: Files, node: str, fingerprint: str, units: Collection[int], known: int | None = None
) -> int | None:
    """How many units the layer had when it was complete; None if it never was, or if the note is damaged.

    Args:
        units: the units whose manifests are there.
        known: what this function returned before, which saves a read.

    Raises:
        CorruptData: the manifest of a unit is missing.
    """
    expected = _num_units(files, node, fingerprint) if known is None else known
    lost = _lost(files, node, fingerprint, expected, units)
    if lost and known is not None:
        # The layer may have been deleted since, and be on the way to a new one.
        expected = _num_units(files, node, fingerprint)
        lost = _lost(files, node, fingerprint, expected, units)
    if lost:
        path = files.full(layout.commit(node, fingerprint, lost[0]))
        fix = f"Run: pd verify --repair, then pd stage run {node}, which computes it again"
        raise CorruptData("the manifest is missing, of a layer that was complete", path, fix)
    return expected


def committed_units(files: Files, node: str, fingerprint: str) -> set[int]:
    """The units whose manifests are there. Costs one listing."""
    return _units_of(files.listed(layout.commits(node, fingerprint)))


def listed_units(files: Files, node: str, fingerprint: str) -> list[int]:
    """The same, sorted."""
    return sorted(committed_units(files, node, fingerprint))


def lost_units(files: Files, node: str, fingerprint: str, units: Collection[int]) -> list[int]:
    """The units whose manifests were lost: the layer was complete, and they are neither there nor withdrawn."""
    return _lost(files, node, fingerprint, _num_units(files, node, fingerprint), units)


def completion_problem(files: Files, node: str, fingerprint: str) -> str:
    """What is wrong with the note; empty if it is sound, or not there."""
    try:
        _parse(files.read(layout.complete(node, fingerprint)), node, fingerprint)
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return f"the file is not a record that this program wrote ({error!s})"
    return ""


def _units_of(names: Sequence[str]) -> set[int]:
    """The units of manifests such as ``00012.json``, without names of another kind."""
    stems = "".join(names).split(".json")
    if len(stems) == len(names) + 1 and not stems[-1]:
        # Almost always there are manifests alone: to look at each name takes three times as long.
        with contextlib.suppress(ValueError):
            return set(map(int, stems[:-1]))
    return {int(name[:-5]) for name in names if name.endswith(".json") and not name.startswith(".")}


def _lost(files: Files, node: str, fingerprint: str, expected: int | None, units: Collection[int]) -> list[int]:
    if expected is None or len(units) >= expected:
        return []
    # Between the listing of ``units`` and the reading of the note another worker may have committed the last ones.
    units = committed_units(files, node, fingerprint)
    names = files.names(layout.withdrawals(node, fingerprint))
    withdrawn = {layout.parse_attempt(name)[0] for name in names}
    return sorted(set(range(expected)) - set(units) - withdrawn)


def _num_units(files: Files, node: str, fingerprint: str) -> int | None:
    """None also if the note is damaged: it is a help to notice losses, and no result depends on it."""
    try:
        return _parse(files.read(layout.complete(node, fingerprint)), node, fingerprint)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _parse(data: bytes, node: str, fingerprint: str) -> int:
    values: dict[str, Any] = unseal(data)
    if (values.get("node", node), values.get("layer", fingerprint)) != (node, fingerprint):
        raise ValueError(f"it is that of {values['node']}, layer {values['layer']}")
    return int(values["units"])
