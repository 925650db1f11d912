"""Hand-made rows of masks for the tests of nodes: masks that are rows of pixels of a small image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pdstore import Ragged, Rows, Store, masks

SIZE = 12
BLANK = np.zeros((SIZE, SIZE, 3), np.uint8)


def rows_of(first: int, last: int) -> np.ndarray:
    """(SIZE, SIZE) bool: the rows of pixels from ``first`` to before ``last``."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[first:last] = True
    return mask


def masked(image_id: int, mask: np.ndarray, score: float) -> dict[str, Any]:
    frame = {
        "height": mask.shape[0],
        "width": mask.shape[1],
        "rle": masks.encode(mask[None])[0],
        "area": int(mask.sum()),
    }
    return {"image_id": image_id, "score": score, **frame}


def thing(image_id: int, mask: np.ndarray, category: int = 0, object_id: int = 0) -> dict[str, Any]:
    """A row of ``objects``."""
    named = {"object_id": object_id, "category_id": category, "category_name": "cat"}
    return masked(image_id, mask, 0.9) | named


def part(image_id: int, number: int, mask: np.ndarray, *, object_id: int = 0, name: str = "") -> dict[str, Any]:
    """A row of ``parts``."""
    extra = {"part_id": number, "part_name": name, "object_ratio": 0.5, "changed": np.nan}
    return thing(image_id, mask, object_id=object_id) | extra | {"feature": np.full(3, number, np.float16)}


def proposal(image_id: int, number: int, mask: np.ndarray, feature: Any, score: float = 0.9) -> dict[str, Any]:
    """A row of ``proposals``."""
    return masked(image_id, mask, score) | {"proposal_id": number, "feature": np.asarray(feature, np.float16)}


def cluster(category: int, number: int, centroid: Any) -> dict[str, Any]:
    """A row of ``clusters``."""
    numbers = {"size": 1, "mean_distance": 0.0, "silhouette": 0.0, "centroid": np.asarray(centroid, np.float32)}
    return {"category_id": category, "cluster": number, **numbers}


def decoded(records: list[dict[str, Any]]) -> np.ndarray:
    """(N, H, W) bool: the masks of rows, which have the same frame."""
    height, width = (records[0]["height"], records[0]["width"]) if records else (SIZE, SIZE)
    return masks.decode(Ragged.from_list([record["rle"] for record in records]), height, width)


def records_of(rows: Rows) -> list[dict[str, Any]]:
    """One mapping per row, with scalars, arrays and bytes."""
    columns = {name: list(values) for name, values in rows.columns.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def scenes_of(store: Store) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The best object of each image of ``detic``, and the parts of ``crf`` on it."""
    segments = [record for unit in range(4) for record in records_of(store.layers("crf")[0].read(unit))]
    for unit in range(4):
        for row in records_of(store.layers("detic")[0].read(unit).sorted("image_id", "object_id")):
            if row["object_id"] == 0:
                key = row["image_id"], 0
                yield row, [record for record in segments if (record["image_id"], record["object_id"]) == key]


def random_scene(seed: int, num_images: int = 4) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ``objects`` and of ``proposals``: rectangles and noise, empty and full masks, equal scores."""
    rng = np.random.default_rng(seed)

    def mask() -> np.ndarray:
        found = np.zeros((SIZE, SIZE), bool)
        (y0, y1), (x0, x1) = np.sort(rng.integers(0, SIZE + 1, (2, 2)))
        found[y0:y1, x0:x1] = True
        return found if rng.random() < 0.7 else rng.random((SIZE, SIZE)) < rng.choice([0, 0.4, 1])

    objects = [thing(i, mask(), int(rng.integers(2)), n) for i in range(num_images) for n in range(2)]
    proposals = [
        proposal(i, n, mask(), rng.normal(size=3), float(np.float32(rng.choice([0.2, 0.5, 0.8, 0.9]))))
        for i in range(num_images)
        for n in range(9)
    ]
    return objects, proposals
