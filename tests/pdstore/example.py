"""What the tests of the engine work on: a table with one column of every kind, its rows, and small stores."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pdstore import Column, Identity, Layer, Rows, Store, StoreInfo, Table, masks

SIZE = (12, 9)
PARTS = Table(
    "parts",
    "One row per part.",
    (
        Column("image_id", "int64", "image"),
        Column("part", "int32", "number of the part"),
        Column("score", "float32", "0 to 1"),
        Column("area_ratio", "float64", "share of the image"),
        Column("is_good", "bool", "a flag"),
        Column("name", "string", "any text"),
        Column("feature", "float16", "a vector", layout="vector"),
        Column("rle", "uint8", "mask", layout="ragged"),
    ),
)
ERRORS = Table(
    "errors",
    "One row per image that was left out.",
    (Column("image_id", "int64", "image"), Column("reason", "string", "code")),
)
TABLES = (PARTS, ERRORS, Table("classes", "One row per class.", (Column("category_id", "int64", "class"),)))


def drawn(count: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """(count, 12, 9) bool masks."""
    return np.random.default_rng(seed).random((count, *SIZE)) < 0.4


def parts(count: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(
        PARTS,
        {
            "image_id": np.arange(count) + 100 * seed,
            "part": rng.integers(0, 4, count),
            "score": rng.random(count, np.float32),
            "area_ratio": rng.random(count),
            "is_good": rng.random(count) < 0.5,
            "name": [f"part «{i}»" for i in range(count)],
            "feature": rng.standard_normal((count, 5)).astype(np.float16),
            "rle": masks.encode(drawn(count, seed)),
        },
    )


def errors(count: int) -> Rows:
    return Rows(ERRORS, {"image_id": np.arange(count), "reason": ["truncated"] * count})


def identity(**settings: int) -> Identity:
    return Identity("grouping", 1, settings, {}, {})


def new_store(url: str, **options: object) -> Store:
    return Store.create(url, StoreInfo(block_size=8, seed=3, source={"images": "/photos"}), **options)


def new_layer(store: Store, node: str = "grouping", **settings: int) -> Layer:
    return store.declare(node, identity(**settings), PARTS, "pdstore 0.1.0")


def filled(url: str, units: Iterable[int] = (0, 1), **options: object) -> Layer:
    """A layer of a new store; unit u holds ``parts(4 + u, seed=u)``, unit 1 also two error rows."""
    layer = new_layer(new_store(url, **options), k=4)
    for unit in units:
        layer.commit(unit, parts(4 + unit, seed=unit), errors=errors(2) if unit == 1 else None)
    return layer


def assert_equal(found: Rows, expected: Rows) -> None:
    assert len(found) == len(expected)
    for column in PARTS.columns:
        if column.layout == "ragged":
            assert found.ragged(column.name) == expected.ragged(column.name)
        else:
            assert found[column.name].dtype == expected[column.name].dtype
            np.testing.assert_array_equal(found[column.name], expected[column.name])
