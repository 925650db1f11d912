"""A store in Python, as in a notebook: rows by SQL, masks as arrays, one image with all that was found on it.

    python examples/notebook.py my-store --node crf --out image.html

Prints the largest mask per class of image, how much of their image the masks cover, and what the nodes found on the
image of the largest mask; writes that image as a notebook shows it, to a file for the browser.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pdstore
from stages.notebook import Database

LARGEST = """
SELECT class_name, image_id, m.area, mask_bbox(m.rle, m.height, m.width) AS box
FROM {table} AS m JOIN images USING (image_id) WHERE m.node = '{node}'
QUALIFY row_number() OVER (PARTITION BY class_name ORDER BY m.area / (m.height * m.width) DESC, image_id) = 1
ORDER BY m.area DESC, class_name
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Everything in order; returns the exit code."""
    arguments = _parser().parse_args(argv)
    db: Database = pdstore.open(str(arguments.store))
    print(db)
    tables = {row["node"]: row["table_name"] for row in db.table("layers", "is_current")}
    if arguments.node not in tables:
        raise SystemExit(f"There is no node {arguments.node} here; there are {', '.join(tables)}.")
    largest = db.sql(LARGEST.format(table=tables[arguments.node], node=arguments.node))
    print(largest)
    rows = db.table(tables[arguments.node], f"node = '{arguments.node}'", order_by="image_id", limit=200)
    share = db.masks(rows, size=(64, 64)).mean()
    print(f"{len(rows)} masks cover {share:.1%} of their image, on average")
    image = db.image(largest[0]["image_id"], long_side=1024)
    print(image)
    arguments.out.write_text(f'<!doctype html><meta charset="utf-8">{image._repr_html_()}')
    print(arguments.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("store", type=Path, help="folder of the store")
    parser.add_argument("--node", default="crf", help="a node that writes masks [default: crf]")
    parser.add_argument("--out", type=Path, default=Path("image.html"), metavar="FILE", help="[default: image.html]")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
