"""Your own photographs, through the Python API: make a store, run every stage, train a small model, draw a picture.

    python examples/own_images.py photos my-store --out sheet.png

Preset no_weights finds one object per image by saliency, groups its pixels into parts, smooths them, clusters the parts
of each class, and trains a proposal model on them (pd run leaves the training out unless it is named).
Settings follow as NODE.KEY=VALUE, for example grouping.k=5 or ranking.k=6.
Stop the script at any moment and run it again: it computes only what is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pdstore import Store, layout
from schemas.catalog import catalog_of
from schemas.pipeline import SourceSpec
from stages.create.store import create_store
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.run.runner import run_node
from stages.show.overlays import drawable, picture_of, sample_images

MASKS_PER_NODE = """
SELECT node, count(*) AS masks, round(avg(area / (height * width)), 3) AS share
FROM (SELECT node, area, height, width FROM objects
      UNION ALL BY NAME SELECT node, area, height, width FROM parts
      UNION ALL BY NAME SELECT node, area, height, width FROM labels)
GROUP BY node ORDER BY node
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Everything in order; returns the exit code."""
    arguments = _parser().parse_intermixed_args(argv)
    store = open_or_create(arguments.store, arguments.images, arguments.overrides)
    # Settings other than those that the store was made with are an error here, and not silently ignored.
    project = Project.open(store, arguments.overrides)
    for name in project.nodes:
        outcome = run_node(project, name)
        print(f"{name}: units computed {len(outcome.committed)}, images left out {outcome.rejected}")
    for row in catalog_of(store).query(MASKS_PER_NODE).to_pylist():
        print(f"{row['node']}: {row['masks']} masks, on average {row['share']:.1%} of their image")
    image_ids = sample_images(project, count=6, seed=0)
    picture_of(project, image_ids, drawable(project), cell_px=200).save(arguments.out)
    print(arguments.out)
    return 0


def open_or_create(url: str, images: Path, overrides: Sequence[str]) -> Store:
    """The store at ``url``; a new one for the folder ``images`` if there is none yet."""
    if (Path(url) / layout.STORE).is_file():
        return Store(url)
    source = SourceSpec(root=str(images.resolve()))
    return create_store(url, source, read_preset("no_weights"), overrides)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("images", type=Path, help="folder of images, or of one folder per class")
    parser.add_argument("store", help="folder of the store; made if it is not there")
    parser.add_argument("overrides", nargs="*", metavar="NODE.KEY=VALUE", help="settings")
    parser.add_argument("--out", default="sheet.png", metavar="FILE", help="the picture [default: sheet.png]")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
