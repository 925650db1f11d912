"""``pd init``: make a store for a folder of images."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from cli.session import store_argument
from pdstore import Store
from pdstore.errors import UsageError, printable
from schemas.pipeline import SourceSpec
from stages.create.store import add_images, create_store, ensure_listing
from stages.plan.presets import read_preset
from stages.plan.project import Project

__all__ = ["command"]

PRESET = "no_weights"
DATASET_PRESET = "ground_truth"


@click.command("init")
@click.argument("store", metavar="STORE")
@click.argument("overrides", nargs=-1, metavar="[NODE.KEY=VALUE]…")
@click.option("--images", required=True, metavar="DIR", help="Folder with the images; keys are relative to it.")
@click.option("--list", "list_file", metavar="FILE", help="Take only these: one 'key' or 'key<TAB>class' per line.")
@click.option("--dataset", metavar="NAME", help="Take a published data set, such as part_imagenet_val.")
@click.option("--classes", "class_file", metavar="FILE", help="Take only these classes: one code or folder per line.")
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
    preset: str | None,
    add: bool,
) -> None:
    """Make a store for a folder of images.

    The folder is an ImageNet tree (train/n02958343/x.JPEG, with labels.txt next to train), or any tree with one folder
    per class, or, with --dataset, a data set as it was published: part_imagenet, pascal_part or cityscapes_part, alone
    or followed by _train, _val, _test or _valtest. The images stay where they are, unless ingest.copy=true.

    \b
    Examples:
      pd init parts --images photos
      pd init parts --images imagenet --list my_images.txt
      pd init parts --images photos --preset my_pipeline.yaml grouping.k=5
      pd init parts --images photos --add
      pd init pim --images PartImageNet --dataset part_imagenet_val
    """
    if add and (preset or overrides or dataset):
        fix = "Leave it out. Change settings with: pd config set NODE.KEY=VALUE"
        extra = preset or dataset or overrides[0]
        raise UsageError(f"--add takes only --images, --list and --classes, found {extra}", "pd init --add", fix)
    if dataset and list_file:
        raise UsageError("expected --dataset or --list, found both", "pd init", "Leave one of them out")
    source = SourceSpec(
        kind="dataset" if dataset else "list" if list_file else "folder",
        root=os.path.abspath(images),
        list_file=os.path.abspath(list_file) if list_file else "",
        dataset=dataset or "",
        class_file=os.path.abspath(class_file) if class_file else "",
    )
    if add:
        made = Store(store)
        print(f"added       {add_images(made, source)} images")
    else:
        default = DATASET_PRESET if dataset else PRESET
        made = create_store(store, source, read_preset(preset or default), overrides)
    _describe(made)


def _describe(store: Store) -> None:
    listing, project = ensure_listing(store), Project.open(store)
    classes = listing.classes()
    # Several classes of a data set may share a name: that of the super-category that names their parts.
    names = list(dict.fromkeys(c.name for c in classes))
    shown = ", ".join(printable(name, keep="") for name in names[:6]) + (", …" if len(names) > 6 else "")
    print(f"store       {store.url}")
    print(f"images      {listing.images}")
    print(f"classes     {len(classes)}{f' ({shown})' if classes else ''}")
    print(f"blocks      {listing.blocks} of up to {store.info.block_size} images")
    print(f"nodes       {', '.join(project.nodes)}")
    is_here = store.files.is_local and Path(store.files.root) == Path.cwd()
    print(f"next        pd {'' if is_here else shlex.join(store_argument(store)) + ' '}run")
