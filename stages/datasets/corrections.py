"""Corrections: what people drew takes the place of what a node found, in the images that they looked at.

An image that the annotation files list was looked at: what they have for it is all that there is, even if it is
nothing. The rows of all other images are those of the node.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pdstore import Ragged, Rows, Table, masks
from stages.datasets.annotated import Drawn
from stages.source.frames import masks_at
from stages.unit import Unit

__all__ = ["Corrected", "each_alone", "rows_of_parts"]


@dataclass(frozen=True)
class _Known:
    """What a node says of an object: the union of its masks, and its area, both in original image pixels."""

    outline: bytes
    area: int


def each_alone(drawn: Iterable[Drawn]) -> Iterator[Drawn]:
    """Every annotation as an object of its own, numbered within its image, in the order of the annotations."""
    image_id, number = -1, 0
    for obj in drawn:
        for part, area in zip(obj.thing.parts, obj.part_areas, strict=True):
            if not area:
                continue
            number = number + 1 if obj.image_id == image_id else 0
            image_id = obj.image_id
            thing = replace(obj.thing, counts=part.counts, parts=(part,))
            yield replace(obj, object_id=number, thing=thing, area=area, part_areas=(area,))


class Corrected:
    """The rows of a block that a node has found, and that people may have corrected.

    Args:
        role: the input of the unit that reads the node.
        table: the table of the result; a column that it does not have is left out.
    """

    def __init__(self, unit: Unit, role: str, table: Table) -> None:
        rows = unit.own_block.rows(role)
        self._table = table
        self._rows = Rows(table, {name: rows.columns[name] for name in table.names})
        self._of_image = self._rows.by("image_id")

    def with_drawn(self, drawn: Rows, listed: Collection[int]) -> Rows:
        """``drawn`` in the images ``listed``, and the node's rows in all others, by rising image.

        A drawn mask has the feature of that mask of the node, of the same image, with which it has the largest
        intersection over union, and zeros if it meets none: a stage that clusters features sees it as it saw that mask.
        """
        kept = self._rows.take(~np.isin(self._rows["image_id"], list(listed)))
        if "feature" in drawn.columns and len(drawn):
            drawn = Rows(self._table, {**drawn.columns, "feature": self._features(drawn)})
        return Rows.concat(self._table, [kept, drawn]).sorted("image_id")

    def placed(self, drawn: Iterable[Drawn]) -> Iterator[Drawn]:
        """The objects, with the numbers that the node has given them, so that other nodes know them by the same number.

        An annotation belongs to the object of its class that it covers most; to the first of its class if it meets
        none; and to a new object if the image has none of its class.
        """
        image_id, found = -1, list[Drawn]()
        for obj in drawn:
            if obj.image_id != image_id:
                yield from sorted(found, key=lambda other: other.object_id)
                image_id, found = obj.image_id, []
            found += self._split(obj, {other.object_id for other in found})
        yield from sorted(found, key=lambda other: other.object_id)

    def _split(self, obj: Drawn, taken: Collection[int]) -> list[Drawn]:
        size, known = (obj.height, obj.width), self._known(obj)
        new = max([*taken, *self._numbers(obj.image_id)], default=-1) + 1
        members: dict[int, list[int]] = {}
        for n, part in enumerate(obj.thing.parts):
            overlaps = {n: _area(masks.intersect([part.counts, o.outline], *size), size) for n, o in known.items()}
            # Of objects that are met equally, and if none is met, the first.
            owner = max(overlaps, key=lambda number: (overlaps[number], -number)) if overlaps else new
            members.setdefault(owner, []).append(n)
        return [_with_parts(obj, number, own, known.get(number)) for number, own in members.items()]

    def _numbers(self, image_id: int) -> list[int]:
        return list(set(self._rows["object_id"][self._of_image.get(image_id, [])].tolist()))

    def _known(self, obj: Drawn) -> dict[int, _Known]:
        """The objects of the class of ``obj`` in its image, by their numbers, rising."""
        rows = self._rows.take(self._of_image.get(obj.image_id, np.zeros(0, np.int64)))
        rows = rows.take(rows["category_id"] == obj.category_id)
        size, found = (obj.height, obj.width), {}
        at_size, pixels = masks_at(rows, size), rows["height"].astype(np.int64) * rows["width"]
        # The share of its object says how large the object is, in its frame.
        areas = rows["area"] / np.maximum(rows["object_ratio"], 1e-9) / np.maximum(pixels, 1) * obj.height * obj.width
        for number, own in sorted(rows.by("object_id").items()):
            found[number] = _Known(masks.union(at_size.take(own), *size), round(float(areas[own].max())))
        return found

    def _features(self, drawn: Rows) -> np.ndarray:
        features = np.asarray(self._rows["feature"])
        found = np.zeros((len(drawn), features.shape[1]), features.dtype)
        for image_id, own in drawn.by("image_id").items():
            theirs = self._of_image.get(image_id, np.zeros(0, np.int64))
            size = int(drawn["height"][own[0]]), int(drawn["width"][own[0]])
            iou = masks.iou(drawn.ragged("rle").take(own), masks_at(self._rows.take(theirs), size), *size)
            if len(theirs):
                nearest = iou.argmax(1)
                found[own] = np.where(iou.max(1)[:, None] > 0, features[theirs[nearest]], 0)
        return found


def rows_of_parts(
    unit: Unit,
    role: str,
    table: Table,
    objects: Callable[[Unit, set[int]], Iterable[Drawn]],
    rows_of: Callable[[Unit, Drawn], Rows],
) -> Rows:
    """What people drew in a block, part by part; with the input ``role``, as corrections of that node.

    Args:
        objects: see :func:`stages.datasets.annotated.drawn_objects`.
        rows_of: the rows of one object.
    """
    listed = set[int]()
    drawn = objects(unit, listed)
    corrected = Corrected(unit, role, table) if role in unit.layers else None
    rows = Rows.concat(table, [rows_of(unit, obj) for obj in (corrected.placed(drawn) if corrected else drawn)])
    return corrected.with_drawn(rows, listed) if corrected else rows


def _with_parts(obj: Drawn, number: int, members: list[int], known: _Known | None) -> Drawn:
    """The object ``number``, with these of the parts. It is at least as large as all masks that are known of it."""
    parts, size = tuple(obj.thing.parts[n] for n in members), (obj.height, obj.width)
    whole = masks.union([*(part.counts for part in parts), *([known.outline] if known else [])], *size)
    thing = replace(obj.thing, counts=whole, parts=parts)
    areas = tuple(obj.part_areas[n] for n in members)
    area = max(_area(whole, size), known.area if known else 1)
    return replace(obj, object_id=number, thing=thing, area=area, part_areas=areas)


def _area(counts: bytes, size: tuple[int, int]) -> int:
    return int(masks.area(Ragged.from_list([counts]), *size)[0])
