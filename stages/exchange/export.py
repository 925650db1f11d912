"""Exporting the masks of a node: the stream of blocks through a format's writer, resumable, whole or not at all."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from pdstore import Store, __version__
from pdstore.errors import InputMissing, Preempted, UsageError, nearest
from pdstore.fingerprint import digest
from stages.exchange.choice import Choice, OfBlock, categories_of, image_layer, mask_layer, named_selection
from stages.exchange.formats import FORMATS, Source, Writer
from stages.exchange.images import ImageMasks, block_images
from stages.exchange.outputs import RECORD, Parts, check_out, publish
from stages.source.listing import Listing
from stages.unit import Control

__all__ = ["Exported", "Request", "export"]

_IMAGES, _MASKS = "images", "annotations"


@dataclass(frozen=True)
class Request:
    """What to export.

    Attributes:
        where: SQL condition over the node's rows ``m`` and the images ``i``.
        selection: name of a frozen selection of images; empty takes all images.
        with_empty: also list the images without a chosen mask.
        options: options of the format.
    """

    form: str
    node: str
    out: Path
    where: str = "true"
    selection: str = ""
    with_empty: bool = False
    overwrite: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        left_out: reason -> number of masks or images.
        reused: number of blocks that an earlier run had written.
    """

    out: Path
    images: int
    annotations: int
    categories: int
    left_out: Mapping[str, int]
    reused: int


def export(store: Store, request: Request, control: Control | None = None) -> Exported:
    """Export the masks of a node, and say what was left out. Blocks that the node has not committed are left out, too.

    Cost: each block is read once, and its masks are brought to original pixels. Memory: one block.

    Raises:
        UsageError: there is no such format, node or selection, the condition is wrong, the output exists, or the format
            does not take the node's table or an option.
        InputMissing: the node has committed nothing. StorageFailure: the output cannot be written.
    """
    control = control or Control()
    chosen = FORMATS.get(request.form)
    if chosen is None:
        raise UsageError(f"there is no format {request.form!r}", "pd export", nearest(request.form, FORMATS))
    if unknown := request.options.keys() - chosen.options:
        fix = f"It takes: {', '.join(sorted(chosen.options))}" if chosen.options else "It takes none"
        raise UsageError(f"the format {request.form} has no option {min(unknown)}", "pd export", fix)
    check_out(request.out, is_folder=chosen.is_folder, overwrite=request.overwrite)
    layer, images = mask_layer(store, request.node, f"pd export {request.form}", chosen.tables), image_layer(store)
    selection = named_selection(store, request.selection) if request.selection else None
    choice = Choice(layer, images, request.where, selection)
    categories = categories_of(store, layer)
    record = {
        "format": request.form,
        "node": layer.node,
        "layer": layer.fingerprint,
        "table": layer.table.name,
        "where": request.where,
        "selection": request.selection,
        "with_empty": request.with_empty,
        "options": dict(request.options),
        "program": f"pdstore {__version__}",
    }
    parts = Parts(request.out, record | {"categories": digest([vars(c) for c in categories])})
    source = Source(layer, images, categories, request.options, record)
    run = _Run(source, choice, chosen.load(source), parts, request.with_empty)
    # What a subquery reads may have changed since the earlier run, so its parts are not used.
    parts.begin(reuse=not re.search(r"\bselect\b", request.where, re.IGNORECASE))
    counts, reused = run.blocks(control)
    publish(request.out, run.finish)
    parts.remove()
    left_out = {reason: count for reason, count in sorted(counts.items()) if count and reason not in (_IMAGES, _MASKS)}
    return Exported(request.out, counts[_IMAGES], counts[_MASKS], len(categories), left_out, reused)


@dataclass(frozen=True)
class _Run:
    """An export that is under way."""

    source: Source
    choice: Choice
    writer: Writer
    parts: Parts
    with_empty: bool

    @cached_property
    def numbers(self) -> list[int]:
        """The blocks that the node and the images have committed. Raises InputMissing if there are none."""
        layer = self.source.layer
        found = sorted(set(layer.units()) & set(self.source.images.units()))
        if not found:
            raise InputMissing("there is no output of the node yet", layer.node, f"Run: pd stage run {layer.node}")
        return found

    def blocks(self, control: Control) -> tuple[Counter[str], int]:
        """Write the blocks that are not written yet. Returns what was counted in all, and how many were there."""
        total, reused, layers = Counter[str](), 0, (self.source.layer, self.source.images)
        done, sizes = set(self.numbers), Listing(layers[0].store).block_sizes()
        total["image not computed yet"] = sum(size for number, size in enumerate(sizes) if number not in done)
        control.advance(0)  # the request is met, the work begins
        with self.choice.open() as choose:
            for number in self.numbers:
                if control.should_stop():
                    raise Preempted("stopped; the blocks that are written are kept", str(self.parts.out))
                made_from = " ".join(layer.manifest(number).content for layer in layers)
                counts = self.parts.tally(number, made_from)
                reused += counts is not None
                total += counts or self.parts.write(number, made_from, partial(self._block, number, choose))
                control.advance(sizes[number] if number < len(sizes) else 0)
        return total, reused

    def finish(self, temporary: Path) -> None:
        """Put the output together. A folder says what made it, by which it is known as an export."""
        self.writer.finish([self.parts.block(number) for number in self.numbers], temporary)
        if temporary.is_dir():
            text = json.dumps(self.source.record, indent=1, ensure_ascii=False)
            (temporary / RECORD).write_text(f"{text}\n", encoding="utf-8")

    def _block(self, number: int, choose: OfBlock, folder: Path) -> Counter[str]:
        counts, source = Counter[str](), self.source
        images = block_images(
            source.layer,
            source.images,
            number,
            choose,
            {category.name: n for n, category in enumerate(source.categories)},
            counts,
            only=self.choice.selected,
            with_empty=self.with_empty,
        )
        lost = self.writer.block(_counted(images, counts), folder) or {}
        counts.update(lost)
        counts[_MASKS] -= sum(lost.values())
        return counts


def _counted(images: Iterator[ImageMasks], counts: Counter[str]) -> Iterator[ImageMasks]:
    for image in images:
        counts[_IMAGES] += 1
        counts[_MASKS] += len(image)
        yield image
