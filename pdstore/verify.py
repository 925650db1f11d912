"""Verify committed files, and withdraw damaged units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pdstore import layout
from pdstore.arrays.archive import archived, in_group
from pdstore.commit import FileEntry, Manifest, new_attempt
from pdstore.errors import CorruptData, InputMissing
from pdstore.index import index_problems, recent_problems
from pdstore.judgements.records import judgement_problems, set_aside
from pdstore.records.announced import announce
from pdstore.records.check import file_problems, repair_file
from pdstore.records.completion import completion_problem, lost_units
from pdstore.records.states import state_problems
from pdstore.store import Layer, Store

__all__ = ["Damage", "repair", "verify"]

_MISSING = "missing"


@dataclass(frozen=True)
class Damage:
    """A committed unit whose files differ from its manifest.

    Unit -1: the layer's record, or a file of its index. Without a node it is a judgement, and the unit is its number;
    or, with unit -1, a file of the store beside the layers.
    """

    node: str
    fingerprint: str
    unit: int
    file: str
    problem: str


def verify(store: Store, node: str | None = None) -> Iterator[Damage | None]:
    """Read every committed file and compare its size and sha256. Yields one item per unit, None if it is sound.

    A layer whose record is damaged yields one more item, with unit -1, and so does each damaged file of an index.
    Each damaged judgement, and each other damaged file of the store, yields an item without a node, unless one node is
    asked for. A manifest that is missing of a layer that was complete yields one as well.
    """
    if node is None:
        for number, problem in judgement_problems(store.files):
            yield Damage("", "", number, layout.judgement(number), problem)
        for path, problem in [*state_problems(store.files), *file_problems(store.files)]:
            yield Damage("", "", -1, path, problem)
    for name in store.nodes() if node is None else [node]:
        for layer in store.layers(name):
            place, units = (name, layer.fingerprint), layer.listed_units()
            problem = _record_problem(layer)
            if problem == _MISSING and not units:
                problem = ""  # what a kill left of a layer that had just begun
            if problem and not (problem == _MISSING and store.files.exists(layout.layer_set_aside(*place))):
                yield Damage(*place, -1, layout.layer_info(*place), problem)
            if noted := completion_problem(store.files, *place):
                yield Damage(*place, -1, layout.complete(*place), noted)
            for unit in lost_units(store.files, *place, units):
                yield Damage(*place, unit, layout.commit(*place, unit), _MISSING)
            for unit in units:
                damage = _check(layer, unit)
                # Without a sound record of the layer, its rows cannot be decoded.
                yield damage or (None if problem else _decode(layer, unit))
            for path, problem in index_problems(store.files, name, layer.fingerprint):
                yield Damage(name, layer.fingerprint, -1, path, problem)
            for path, problem in () if store.files.is_local else recent_problems(store.files, name, layer.fingerprint):
                yield Damage(name, layer.fingerprint, -1, path, problem)


def repair(store: Store, damage: Damage) -> bool:
    """Withdraw a damaged unit, so that the next run computes it again. The damaged files are kept until gc.

    A damaged record of a layer is set aside; the next run of its node writes it again. A damaged file of an index is
    removed; ``pd compact`` gathers its commits again. A damaged judgement is set aside, a checkpoint removed.

    Returns:
        False if nothing could be done: the file has to be restored from a copy.
    """
    if not damage.node:
        if damage.unit < 0:
            return repair_file(store.files, damage.file)
        set_aside(store.files, damage.unit)
        return True
    place = damage.node, damage.fingerprint
    if damage.file == layout.layer_info(*place):
        _move(store, damage.file, layout.layer_set_aside(*place))
    elif damage.unit < 0:
        store.files.remove(damage.file)
    elif damage.file == layout.commit(*place, damage.unit):
        attempt = new_attempt()
        announce(store.files, *place, damage.unit, attempt)
        _move(store, damage.file, layout.withdrawn(*place, damage.unit, attempt))
    else:
        store.layer(*place).withdraw(damage.unit)
    return True


def _move(store: Store, path: str, target: str) -> None:
    """The file, or an empty one if it is lost, under another name, which says that it was dealt with."""
    try:
        data = store.files.read(path)
    except FileNotFoundError:
        data = b""
    store.files.write(target, data)
    store.files.remove(path)


def _check(layer: Layer, unit: int) -> Damage | None:
    try:
        manifest = layer.manifest(unit)
    except CorruptData as error:
        path = layout.commit(layer.node, layer.fingerprint, unit)
        return Damage(layer.node, layer.fingerprint, unit, path, error.problem)
    inside = set(in_group(manifest.files) if manifest.archive else ())
    for name, entry in manifest.files.items():
        path = f"{manifest.folder}/{name}"
        problem = "" if name in inside else _file_problem(layer.store, path, entry)
        if problem:
            return Damage(layer.node, layer.fingerprint, unit, path, problem)
    problem = _archive_problem(layer.store, manifest) if inside else ""
    return Damage(layer.node, layer.fingerprint, unit, manifest.archive, problem) if problem else None


def _archive_problem(store: Store, manifest: Manifest) -> str:
    """How the archive of a unit's arrays differs from what was written, its directory included."""
    try:
        data = store.files.read(manifest.archive)
    except FileNotFoundError:
        return _MISSING
    found = {}
    for name in in_group(manifest.files):
        entry, (_, start) = manifest.files[name], manifest.place(name)
        found[name] = data[start : start + entry.size]
        if problem := entry.problem(found[name]):
            return f"{name}: {problem}"
    return "" if archived(found) == data else "its headers differ from what was written"


def _decode(layer: Layer, unit: int) -> Damage | None:
    """All files are what the manifest says: are they also all that the rows need?"""
    try:
        layer.read(unit)
    except CorruptData as error:
        return Damage(layer.node, layer.fingerprint, unit, layer.manifest(unit).folder, error.problem)
    return None


def _record_problem(layer: Layer) -> str:
    try:
        recorded = layer.info.identity.fingerprint
    except InputMissing:
        return _MISSING
    except CorruptData as error:
        return error.problem
    return "" if recorded == layer.fingerprint else f"the record of another layer, {recorded}"


def _file_problem(store: Store, path: str, entry: FileEntry) -> str:
    try:
        return entry.problem(store.files.read(path))
    except FileNotFoundError:
        return _MISSING
