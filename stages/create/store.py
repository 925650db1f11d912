"""Creating a store: its source of images, its listing, its pipeline. Every step can be repeated after a kill."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pdstore import Store, StoreInfo, layout
from pdstore.errors import StorageFailure, UsageError
from pdstore.files import Files
from pdstore.fingerprint import digest
from pdstore.records.states import restore_copy
from schemas.former import with_moved_settings
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.walk import Tell, ignore
from stages.drawn.presence import dataset_info, is_present
from stages.plan.overrides import merge_overrides
from stages.plan.pipeline import Pipeline
from stages.plan.project import Project
from stages.plan.unit_sizes import with_unit_sizes
from stages.source.listing import ImageClass, Listing
from stages.source.tars import Member, write_members

__all__ = ["add_images", "create_store", "ensure_listing", "finish_creation"]

_BLOCKS, _SMALLEST_BLOCK, _LARGEST_BLOCK = 256, 10, 1024
"""How many blocks a pipeline that names no size has, while their size lies between these."""


def create_store(
    url: str,
    source: SourceSpec,
    spec: PipelineSpec,
    overrides: Iterable[str] = (),
    tell: Tell = ignore,
    **options: object,
) -> Store:
    """A new store with its listing and its pipeline. Everything that can be wrong is checked before it is written.

    If the source is a data set, the pipeline's ground-truth nodes are set to read the annotations that it publishes.

    Args:
        tell: is called with a sentence about files that are left out.
        options: passed to fsspec, for a store that is not a local folder.

    Raises:
        UsageError: the source, the pipeline or an override is wrong, or a store already exists at ``url``.
    """
    merged = merge_overrides(overrides)
    if Files(url, **options).exists(layout.STORE):
        return _begun(Store(url, **options), source, spec, merged)
    scanned = None if source.kind == "demo" else _scan(source, spec.seed, tell)
    if source.kind == "dataset":
        # Imported here: a folder of images needs none of the readers of data sets.
        from stages.datasets.published import with_truth

        spec = with_truth(spec, source.dataset, Path(source.root))
    Pipeline(spec, merged, source.root)
    settings = {"source": source.model_dump(), "spec": spec.model_dump(mode="json"), "overrides": merged}
    images = len(scanned.images) if scanned else source.num_train + source.num_val
    block_size = spec.block_size or _block_size(images)
    info = StoreInfo(block_size, spec.seed, {**settings["source"], "pipeline": settings})
    store = Store.create(url, info, **options)
    if scanned:
        _list(store, scanned)
    ensure_listing(store)
    return store


def _block_size(images: int) -> int:
    """Small enough that workers can share a few dozen images, and large enough that blocks stay few."""
    return min(max(-(-images // _BLOCKS), _SMALLEST_BLOCK), _LARGEST_BLOCK)


def _begun(store: Store, source: SourceSpec, spec: PipelineSpec, overrides: Mapping[str, Any]) -> Store:
    """The store that the same request began to make, and could not finish. Raises UsageError if it is any other."""
    asked = {"source": source.model_dump(), "spec": spec.model_dump(mode="json"), "overrides": overrides}
    # The pipeline is recorded last.
    if store.files.exists(layout.PIPELINE) or json.loads(json.dumps(asked)) != store.info.source.get("pipeline"):
        fix = "Choose another folder, or add new images to this store with: pd init STORE --images DIR --add"
        raise UsageError("a store already exists here", store.url, fix)
    ensure_listing(store)
    return store


def ensure_listing(store: Store) -> Listing:
    """The store's listing, after :func:`finish_creation`."""
    finish_creation(store)
    return Listing(store)


def finish_creation(store: Store) -> None:
    """Write the listing and the pipeline now if a kill left only store.json. If they are there, they are not read."""
    source = SourceSpec.of(store)
    if source.kind == "demo":
        _draw(source)
    if not any(map(store.files.exists, (layout.listing(0), layout.digest(layout.listing(0))))):
        _list(store, _scan(source, store.info.seed))
    if store.files.exists(layout.PIPELINE):
        return
    if store.state() is None:
        settings: Mapping[str, Any] = store.info.source["pipeline"]
        spec = PipelineSpec.parse(dict(settings["spec"]), "pipeline")
        overrides = with_moved_settings(spec.nodes, settings["overrides"])
        with_unit_sizes(Project(store, Pipeline(spec, overrides, source.root))).record()
        return
    # Only the copy of the state is missing, and whoever may not write needs none.
    with contextlib.suppress(StorageFailure):
        restore_copy(store.files)


def _draw(source: SourceSpec) -> None:
    """Draw the demo's data set where it is not there."""
    root, drawn = Path(source.root), (source.seed, source.num_train, source.num_val, source.drawing)
    if not is_present(root, dataset_info(*drawn)):
        # Imported here: every command comes by, and draws nothing.
        from stages.drawn.dataset import write_dataset

        write_dataset(root, *drawn)


def add_images(store: Store, source: SourceSpec, tell: Tell = ignore) -> int:
    """Add the images of ``source`` that are not in the store yet, in new blocks. Returns how many were added.

    Raises:
        UsageError: ``source`` is not the store's image folder, or an image belongs to a class that is not in the
            store's vocabulary.
    """
    folder = SourceSpec.of(store).root
    if Path(source.root).resolve() != Path(folder).resolve():
        # Images are read from the store's own folder alone: those of another could be listed, but never read.
        fix = f"Move or link the new images there, and name that folder: --images {folder}"
        raise UsageError(f"{source.root} is not the image folder of the store, {folder}", "pd init --add", fix)
    source = _as_before(source, SourceSpec.of(store))
    listing = ensure_listing(store)
    known = {c.wnid for c in listing.classes()}
    members: list[Member] = []
    from stages.create.names import a_few
    from stages.create.scan import scan

    fresh = scan(source, listing.keys(), store.info.seed, tell, members)
    unknown = sorted({wnid for _, _, wnid in fresh if wnid} - known)
    if unknown:
        fix = "A store's vocabulary is fixed. Create a new store for other classes"
        raise UsageError(f"these classes are not in the store's vocabulary: {a_few(unknown)}", source.root, fix)
    if fresh:
        write_members(store, members)
        listing.append(fresh)
    return len(fresh)


def _as_before(source: SourceSpec, first: SourceSpec) -> SourceSpec:
    """The source, read as the store's first images were where it says nothing else."""
    unset = [name for name in ("labels", "splits", "read_as", "follow_links") if not getattr(source, name)]
    return source.model_copy(update={name: getattr(first, name) for name in unset})


class _Scanned(NamedTuple):
    """What a source holds."""

    classes: list[ImageClass]
    images: list[tuple[str, str, str]]
    members: list[Member]


def _scan(source: SourceSpec, seed: int, tell: Tell = ignore) -> _Scanned:
    members: list[Member] = []
    # Imported here: every command comes by, and scans nothing.
    from stages.create.scan import scan, scan_classes

    images = scan(source, set(), seed, tell, members)
    return _Scanned(scan_classes(source, images), images, members)


def _list(store: Store, found: _Scanned) -> None:
    """Write the listing of a new store. The images come last: once they are written, the rest exists too."""
    listing = Listing(store)
    listing.write_classes(found.classes)
    store.replace_info(replace(store.info, vocabulary=digest([[c.class_id, c.wnid, c.name] for c in found.classes])))
    write_members(store, found.members)
    listing.append(found.images)
