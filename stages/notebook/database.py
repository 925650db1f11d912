"""A store as one uses it in a notebook: ask for rows, see their masks, look at an image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from pdstore import Store
from pdstore.errors import UsageError, nearest, printable
from schemas.catalog import catalog_of
from schemas.monitors import MONITORS
from schemas.tables import TABLES
from stages.notebook.image_record import ImageRecord, image_record
from stages.notebook.masks_of import arrow_of, masks_of
from stages.notebook.result import Result
from stages.plan.project import Project
from stages.show.overlays import find_image

__all__ = ["Database"]

_CONTENTS = """
SELECT node, table_name AS "table", coalesce(sum(c.rows), 0)::BIGINT AS rows, units AS blocks
FROM layers LEFT JOIN commits AS c USING (node, layer)
WHERE is_current GROUP BY ALL ORDER BY min(c.created), node
"""
SHOWN_NODES = 60
_NAMES = {*TABLES, *(f"{table}_all" for table in TABLES), *MONITORS, "commits", "layers"}


class Database:
    """A store, to be read: ``pdstore.open`` gives it. Each call sees what is committed at that moment.

    Printed, it lists its nodes and how many rows each has.

    >>> db
    <Database …: … images …>
    node …
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def url(self) -> str:
        """Where the store is."""
        return self.store.url

    def sql(self, query: str, **tables: Any) -> Result:
        """The rows that a query gives: one statement of DuckDB's SQL that reads.

        The tables are those of ``docs/tables.md``. Masks (``rle``) and vectors (``feature``) are columns like others; a
        query reads them only if it names them, so ``*`` does not stand for them. Functions of masks are ``mask_area``,
        ``mask_bbox``, ``mask_iou`` and ``mask_union``.

        Args:
            query: it reads nothing but the store and ``tables``.
            tables: further tables by their names: rows of this class, Arrow, pandas, polars or a list of dicts.

        Raises:
            UsageError: the query is not valid, or would do anything but read the store.
            CorruptData: a committed file cannot be read.

        >>> mine = [{"image_id": 0, "note": "look here"}]
        >>> db.sql("SELECT note, count(*) AS parts FROM parts JOIN mine USING (image_id) GROUP BY note", mine=mine)
        note       parts
        look here  …
        1 row, 2 columns
        >>> db.sql("SELECT max(mask_area(rle, height, width)) = max(area) AS same FROM parts")[0]
        {'same': True}
        """
        for name in tables.keys() & _NAMES:
            raise UsageError(f"the store has a table {name} of its own", "sql", "Choose another name")
        return Result(catalog_of(self.store).query(query, {name: arrow_of(rows) for name, rows in tables.items()}))

    def snapshot(self, at: int | float | None = None) -> Database:
        """The store as of one recorded state of its pipeline, whatever is recorded later.

        Args:
            at: the number of a state, as ``pd config log`` lists them; or, as a float, a time in seconds since 1970.
                Unless set, the newest state.

        Raises:
            UsageError: there is no such state.
            InputMissing: a layer of that state was deleted since.

        >>> db.snapshot(0).sql("SELECT count(*) > 0 AS some FROM parts")[0]
        {'some': True}
        """
        return Database(self.store.snapshot(at))

    def table(
        self,
        name: str,
        where: str = "",
        columns: Sequence[str] = (),
        *,
        order_by: str = "",
        limit: int | None = None,
    ) -> Result:
        """Rows of one table.

        Args:
            name: a table of ``docs/tables.md``, such as ``parts``; ``parts_all`` has those of older layers, too.
            where: a condition in SQL; all rows without one.
            columns: names of columns; without any, all but masks and vectors.
            order_by: an expression in SQL.
            limit: at most so many rows.

        Raises:
            UsageError: there is no such table or column, or the condition is not valid.

        >>> rows = db.table("parts", "node = 'crf' AND score > 0.5", order_by="score DESC", limit=4)
        >>> db.table("parts", columns=["image_id", "feature"], limit=2)["feature"][0].dtype
        dtype('float32')
        """
        if name not in _NAMES:
            raise UsageError(f"there is no table {name!r}", "table", nearest(name, _NAMES))
        listed = ", ".join('"{}"'.format(column.replace('"', '""')) for column in columns) or "*"
        query = f"SELECT {listed} FROM {name}"
        # On lines of their own, since a condition may end in a comment.
        query += f"\nWHERE ({where}\n)" * bool(where) + f"\nORDER BY {order_by}\n" * bool(order_by)
        return self.sql(query if limit is None else f"{query} LIMIT {int(limit)}")

    def masks(self, rows: Any, size: tuple[int, int] | None = None) -> npt.NDArray[np.bool_]:
        """The masks of rows as pixels: (N, H, W) bool, in the order of the rows.

        Memory: N x H x W bytes. Choose rows before you ask for their masks.

        Args:
            rows: what :meth:`sql` or :meth:`table` gave, or a table of Arrow, pandas or polars, with the columns
                ``node``, ``image_id`` and the numbers of the row (such as ``object_id`` and ``part_id``), or with
                ``rle``, ``height`` and ``width``.
            size: (height, width) to bring the masks to; without it, all must have one frame, which they keep.

        Raises:
            UsageError: the rows do not say which masks they mean, or these have several frames and ``size`` is None.
            InputMissing: a mask is no longer in the store.

        >>> rows = db.table("parts", "node = 'crf' AND image_id = 0")
        >>> masks = db.masks(rows)
        >>> masks.dtype, masks.sum((1, 2)).tolist() == rows["area"].tolist()
        (dtype('bool'), True)
        >>> db.masks(rows, size=(32, 32)).shape[1:]
        (32, 32)
        """
        return masks_of(self.store, arrow_of(rows), size)

    def image(self, image: int | str, long_side: int = 0) -> ImageRecord:
        """One image, with its picture and what each node has found on it.

        Args:
            image: its ``image_id``, its key, or the end of its key (whole names of folders and file).
            long_side: picture and masks are scaled down to it if they are larger; 0 keeps the image's own pixels.

        Raises:
            UsageError: no image has this key, or several do.
            InputMissing: the image has not been ingested.

        >>> image = db.image(0)
        >>> db.image(image.key).image_id
        0
        >>> image.picture.dtype, list(image.layers)[:2]
        (dtype('uint8'), ['detic', …])
        """
        image_id = find_image(self._project, image) if isinstance(image, str) else int(image)
        return image_record(self._project, image_id, long_side)

    @cached_property
    def _project(self) -> Project:
        return Project.open(self.store)

    def _contents(self) -> Result:
        return Result(self.sql(_CONTENTS).arrow(), SHOWN_NODES)

    def _title(self, contents: Result) -> str:
        images = sum(row["rows"] for row in contents if row["table"] == "images")
        return printable(f"<Database {self.url}: {images:,} images in blocks of {self.store.info.block_size}>", keep="")

    def __repr__(self) -> str:
        contents = self._contents()
        return f"{self._title(contents)}\n{contents!r}"

    def _repr_html_(self) -> str:
        contents = self._contents()
        return f"<p>{escape(self._title(contents))}</p>{contents._repr_html_()}"
