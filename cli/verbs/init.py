"""``pd init``: make a store for a folder of images."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Literal

import click

from cli.output import print_table, say
from cli.session import store_argument
from pdstore import Store
from pdstore.errors import UsageError, printable
from schemas.pipeline import SourceSpec
from stages.create.store import add_images, create_store, ensure_listing
from stages.plan.file_settings import missing_files
from stages.plan.presets import read_preset
from stages.plan.project import Project
from stages.source.listing import Listing

__all__ = ["command"]

PRESET = "no_weights"
DATASET_PRESET = "ground_truth"
_SPLITS = ("train", "val", "test")
_SPLIT = click.Choice(_SPLITS)
_READING = click.Choice(["splits", "classes"])


@click.command("init")
@click.argument("store", metavar="STORE")
@click.argument("overrides", nargs=-1, metavar="[NODE.KEY=VALUE]…")
@click.option("--images", required=True, metavar="DIR|TAR", help="Folder or tar file with the images.")
@click.option("--list", "list_file", metavar="FILE", help="Take only these: one 'key' or 'key<TAB>class' per line.")
@click.option("--dataset", metavar="NAME", help="Take a published data set, such as part_imagenet_val.")
@click.option("--classes", "class_file", metavar="FILE", help="Take only these classes: one code or folder per line.")
@click.option("--labels", metavar="FILE|DIR", help="Names of the classes, 'wnid,name' per line; or ImageNet's devkit.")
@click.option("--split", "splits", multiple=True, type=_SPLIT, help="Take only this split; may be repeated.")
@click.option("--read-as", type=_READING, help="What a folder is that can be a split or a class, such as train.")
@click.option("--follow-links", is_flag=True, help="Follow links that lead out of the image folder.")
@click.option(
    "--preset",
    metavar="NAME|FILE",
    help=f"The pipeline: a preset or a YAML file. [default: {PRESET}; with --dataset {DATASET_PRESET}]",
)
@click.option("--add", is_flag=True, help="Add the folder's new images to an existing store.")
def command(
    store: str,
    overrides: tuple[str, ...],
    images: str,
    list_file: str | None,
    dataset: str | None,
    class_file: str | None,
    labels: str | None,
    splits: tuple[str, ...],
    read_as: Literal["splits", "classes"] | None,
    follow_links: bool,
    preset: str | None,
    add: bool,
) -> None:
    """Make a store for a folder of images.

    The folder is ImageNet as it was published or as Kaggle packs it, or any tree with one folder per class, with or
    without folders for splits; or, with --dataset, a data set as it was published: part_imagenet, part_imagenet_pp,
    pascal_part, cityscapes_part or paco_lvis, alone or followed by _train, _val, _test or _valtest. A table shows how
    the folder was read. The images stay where they are, unless ingest.copy=true.

    \b
    Examples:
      pd init parts --images photos
      pd init parts --images imagenet --list my_images.txt
      pd init parts --images imagenet --labels devkit --split train
      pd init parts --images photos --preset my_pipeline.yaml grouping.k=5
      pd init parts --images photos --add
      pd init pim --images PartImageNet --dataset part_imagenet_val
    """
    _check_request(add, preset or dataset or next(iter(overrides), ""), bool(dataset and list_file))
    source = SourceSpec(
        kind="dataset" if dataset else "list" if list_file else "folder",
        root=os.path.abspath(images),
        list_file=os.path.abspath(list_file) if list_file else "",
        dataset=dataset or "",
        class_file=os.path.abspath(class_file) if class_file else "",
        labels=os.path.abspath(labels) if labels else "",
        splits=splits,
        read_as=read_as or "",
        follow_links=follow_links,
    )
    if add:
        made = Store(store)
        print(f"added       {add_images(made, source, say)} images")
    else:
        default = DATASET_PRESET if dataset else PRESET
        made = create_store(store, source, read_preset(preset or default), overrides, say)
    _describe(made)


def _check_request(add: bool, extra: str, has_both: bool) -> None:
    if add and extra:
        fix = "Leave it out. Change settings with: pd config set NODE.KEY=VALUE"
        raise UsageError(f"--add takes only --images, --list and --classes, found {extra}", "pd init --add", fix)
    if has_both:
        raise UsageError("expected --dataset or --list, found both", "pd init", "Leave one of them out")


def _describe(store: Store) -> None:
    listing, project = ensure_listing(store), Project.open(store)
    classes = listing.classes()
    # Several classes of a data set may share a name: that of the super-category that names their parts.
    names = list(dict.fromkeys(c.name for c in classes))
    shown = ", ".join(printable(name, keep="") for name in names[:6]) + (", …" if len(names) > 6 else "")
    print(f"store       {store.url}")
    print(f"images      {listing.images}")
    print(f"classes     {len(classes)}{f' ({shown})' if classes else ''}")
    _describe_places(listing)
    print(f"blocks      {listing.blocks} of up to {store.info.block_size} images")
    print(f"nodes       {', '.join(project.nodes)}")
    for missing in missing_files(project.nodes.values()):
        say(f"{missing}. Bring it before pd run")
    is_here = store.files.is_local and Path(store.files.root) == Path.cwd()
    print(f"next        pd {'' if is_here else shlex.join(store_argument(store)) + ' '}run")


def _rank(item: tuple[tuple[str, bool], object]) -> tuple[int, str, bool]:
    split, has_class = item[0]
    return _SPLITS.index(split) if split in _SPLITS else len(_SPLITS), split, not has_class


def _describe_places(listing: Listing) -> None:
    """How the folder was read: split, classes, images, and one key to see it by."""
    places: dict[tuple[str, bool], tuple[set[str], int, str]] = {}
    for image in listing.all():
        place = (image.split, bool(image.wnid))
        classes, count, key = places.get(place, (set(), 0, image.key))
        classes.add(image.wnid)
        places[place] = classes, count + 1, min(key, image.key)
    rows = [
        [split, len(classes) if has_class else "no class", count, key if key.isprintable() else ascii(key)]
        for (split, has_class), (classes, count, key) in sorted(places.items(), key=_rank)
    ]
    print_table(["split", "classes", "images", "such as"], rows)
