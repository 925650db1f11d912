"""Making a store: its source of images, its listing, its pipeline. Every step can be repeated after a kill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdstore import Store, StoreInfo, layout
from pdstore.errors import UsageError
from pdstore.files import Files
from pdstore.fingerprint import digest
from schemas.pipeline import PipelineSpec, SourceSpec
from stages.create.scan import scan, scan_classes
from stages.datasets.published import with_truth
from stages.drawn.dataset import write_dataset
from stages.plan.overrides import merge_overrides
from stages.plan.pipeline import Pipeline
from stages.plan.project import Project
from stages.source.listing import ImageClass, Listing

__all__ = ["add_images", "create_store", "ensure_listing"]


def create_store(
    url: str, source: SourceSpec, spec: PipelineSpec, overrides: Iterable[str] = (), **options: object
) -> Store:
    """A new store with its listing and its pipeline. Everything that can be wrong is checked before it is made.

    Of a data set, the pipeline's ground-truth nodes are set to read what it publishes.

    Raises:
        UsageError: the source, the pipeline or an override is wrong, or there is a store already.
    """
    merged = merge_overrides(overrides)
    if Files(url, **options).exists(layout.STORE):
        fix = "Choose another folder, or add new images to this one with: pd init STORE --images DIR --add"
        raise UsageError("expected no store, found one that is already there", url, fix)
    scanned = None if source.kind == "demo" else _scan(source, spec.seed)
    if source.kind == "dataset":
        spec = with_truth(spec, source.dataset, Path(source.root))
    Pipeline(spec, merged, source.root)
    settings = {"source": source.model_dump(), "spec": spec.model_dump(mode="json"), "overrides": merged}
    info = StoreInfo(spec.block_size, spec.seed, {**settings["source"], "pipeline": settings})
    store = Store.create(url, info, **options)
    if scanned:
        _list(store, *scanned)
    ensure_listing(store)
    return store


def ensure_listing(store: Store) -> Listing:
    """The listing and the pipeline, made now if a kill came between them and store.json."""
    source = SourceSpec.of(store)
    if source.kind == "demo":
        write_dataset(Path(source.root), source.seed, source.num_train, source.num_val)
    if not store.files.exists(layout.listing(0)):
        _list(store, *_scan(source, store.info.seed))
    if not store.files.exists(layout.PIPELINE):
        given: Mapping[str, Any] = store.info.source["pipeline"]
        spec = PipelineSpec.parse(dict(given["spec"]), "pipeline")
        Project(store, Pipeline(spec, given["overrides"], source.root)).record()
    return Listing(store)


def add_images(store: Store, source: SourceSpec) -> int:
    """Add the images of ``source`` that are not in the store yet, in new blocks. Returns how many.

    Raises:
        UsageError: ``source`` is another folder than the store's, or an image is of a class that the vocabulary does
            not have.
    """
    own = SourceSpec.of(store).root
    if Path(source.root).resolve() != Path(own).resolve():
        # Images are read from the store's one folder, so that those of another could be listed but never found.
        fix = f"Put or link the new images there and name it: --images {own}"
        raise UsageError(f"expected the image folder of the store, {own}, found {source.root}", "pd init --add", fix)
    listing = ensure_listing(store)
    known = {c.wnid for c in listing.classes()}
    fresh = scan(source, listing.keys(), store.info.seed)
    strange = sorted({wnid for _, _, wnid in fresh if wnid} - known)
    if strange:
        fix = "The vocabulary of a store is fixed: make a new store for other classes"
        raise UsageError(f"expected classes of the store's vocabulary, found new ones: {strange}", source.root, fix)
    if fresh:
        listing.append(fresh)
    return len(fresh)


def _scan(source: SourceSpec, seed: int) -> tuple[list[ImageClass], list[tuple[str, str, str]]]:
    images = scan(source, set(), seed)
    return scan_classes(source, images), images


def _list(store: Store, classes: list[ImageClass], images: list[tuple[str, str, str]]) -> None:
    """Write the listing of a new store. The images come last: where they are, the rest is there too."""
    listing = Listing(store)
    listing.write_classes(classes)
    store.replace_info(replace(store.info, vocabulary=digest([[c.class_id, c.wnid, c.name] for c in classes])))
    listing.append(images)
