"""Read a store without pd: its files are JSON, Parquet, Zarr and COCO run lengths, and nothing else.

    python examples/read_without_pd.py my-store crf --out mask.png

Prints what a node has committed and its largest mask, and writes that mask as a picture. It needs duckdb, zarr and
pycocotools; the picture also needs Pillow.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import zarr
from pycocotools import mask as coco


def committed_blocks(store: Path, node: str) -> list[Path]:
    """The folders of a node's committed blocks, in order.

    Only what a file in commits/ names belongs to the store: never list blocks/, where killed workers leave remains.
    """
    layer = store / "layers" / node / json.loads((store / "pipeline.json").read_text())["current"][node]
    commits = {path.stem: json.loads(path.read_text()) for path in sorted((layer / "commits").glob("*.json"))}
    return [layer / "blocks" / f"{block}.{commit['attempt']}" for block, commit in commits.items()]


def read_mask(block: Path, row: int) -> npt.NDArray[np.bool_]:
    """(H, W) bool, original image pixels: the mask of a row of ``rows.parquet``."""
    names = ("rle", "rle_offsets")
    rle, offsets = (zarr.open_array(block / "data.zarr" / name, mode="r", zarr_format=3) for name in names)
    # The run lengths of all rows lie end to end: those of row i are the bytes from offset i to offset i + 1.
    start, stop = np.asarray(offsets[row : row + 2]).tolist()
    counts = np.asarray(rle[start:stop]).tobytes()
    query = "SELECT height, width FROM read_parquet(?, file_row_number = true) WHERE file_row_number = ?"
    height, width = duckdb.execute(query, [str(block / "rows.parquet"), row]).fetchall()[0]
    return np.asarray(coco.decode({"size": [height, width], "counts": counts}), bool)


def largest_mask(blocks: Sequence[Path]) -> tuple[Path, int, int]:
    """(block, row, image_id) of the mask with the most pixels. Zarr rows are aligned with those of the Parquet file."""
    files = [str(block / "rows.parquet") for block in blocks]
    query = "SELECT filename, file_row_number, image_id FROM read_parquet(?, filename = true, file_row_number = true)"
    found = duckdb.execute(f"{query} ORDER BY area DESC, filename, file_row_number LIMIT 1", [files]).fetchall()
    if not found:
        raise SystemExit("The node has found no mask.")
    file, row, image_id = found[0]
    return Path(file).parent, row, image_id


def main(argv: Sequence[str] | None = None) -> int:
    """Print the blocks of a node and its largest mask; returns the exit code."""
    arguments = _parser().parse_args(argv)
    blocks = committed_blocks(arguments.store, arguments.node)
    if not blocks:
        raise SystemExit(f"{arguments.node} has committed nothing yet.")
    for block in blocks:
        count = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(block / "rows.parquet")]).fetchall()[0][0]
        print(f"block {block.name.partition('.')[0]}: {count} rows")
    block, row, image_id = largest_mask(blocks)
    mask = read_mask(block, row)
    print(f"largest mask: image {image_id}, {mask.sum()} of {mask.shape[0]} x {mask.shape[1]} pixels")
    if arguments.out:
        from PIL import Image

        Image.fromarray(mask.astype(np.uint8) * 255).save(arguments.out)
        print(arguments.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("store", type=Path, help="folder of the store")
    parser.add_argument("node", help="a node that writes masks, such as crf")
    parser.add_argument("--out", metavar="FILE.png", help="write the mask here")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
