"""``pd predict``: run a trained part model on any pictures, without a store of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import say
from cli.session import open_project
from pdstore import Store
from pdstore.errors import PartlyFailed, UsageError
from stages.plan.overrides import parse_value, place
from stages.plan.project import Project

if TYPE_CHECKING:
    from stages.exchange.networks.picture_list import PictureFile
    from stages.exchange.networks.predictions import Predicted
    from stages.models.part_model import PartModel

__all__ = ["command"]


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGES…")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE.json|DIR",
              help="A COCO file, or a folder for one label map (PNG) per picture.")  # fmt: skip
@click.option("--class", "name", metavar="NAME", help="The object class of all pictures, for a class-specific model.")
@click.option("--class-by-folder", is_flag=True, help="The object class of a picture is the name of its folder.")
@click.option("--overlay", type=click.Path(path_type=Path), metavar="DIR",
              help="Also write each picture with coloured parts (JPEG).")  # fmt: skip
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE",
              help="A setting of the stage predict or proposals, such as threshold=0.3.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace results that are there.")
def command(
    model: str,
    images: tuple[str, ...],
    out: Path,
    name: str | None,
    class_by_folder: bool,
    overlay: Path | None,
    changes: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Find parts in IMAGES (files, folders, patterns) with MODEL, and write them as COCO JSON or label maps.

    MODEL is a node of --store that trains or runs a network, STORE#NODE, or a folder of pd weights export. A
    class-specific model needs the class of the object that a picture shows (--class), and nothing else: neither boxes
    nor masks. Settings are those of the node that runs the model in its store, unless --set changes them.

    Pictures that cannot be read are listed on stderr and in the result, and the exit code is 4.

    \b
    Examples:
      pd predict part-model photos --class dog --out dogs.json
      pd predict parts#distill 'photos/*.jpg' --class dog --out labels --overlay pictures
      pd --store parts predict proposals photo.jpg --out proposals.json --set min_score=0.3
    """
    # Imported here, so that a wrong option is reported without waiting for torch.
    import torch

    from stages.exchange.networks.picture_list import list_pictures
    from stages.exchange.networks.prediction_files import check_place
    from stages.exchange.networks.predictions import predict_pictures

    for path in filter(None, (out, overlay)):
        check_place(path, overwrite)
    pictures = list_pictures(images)
    done = predict_pictures(
        _model(model),
        pictures,
        out,
        classes=_classes(pictures, name, class_by_folder),
        overlay=overlay,
        overwrite=overwrite,
        changes=_settings(changes),
        device="cuda" if torch.cuda.is_available() else "cpu",
        note=say,
    )
    say(f"{done.found} masks in {done.pictures} pictures")
    print(out)
    if done.left_out:
        raise _partly(done, len(pictures), out)


def _classes(pictures: Sequence[PictureFile], name: str | None, by_folder: bool) -> list[str]:
    if name and by_folder:
        raise UsageError("expected one of them, found both", "--class --class-by-folder", "Leave one of them out")
    return [one.folder for one in pictures] if by_folder else [name] if name else []


def _partly(done: Predicted, asked: int, out: Path) -> PartlyFailed:
    for picture, lost in done.left_out:
        say(f"{picture.path}: {lost.reason}: {lost.detail}")
    problem = f"left out: {len(done.left_out)} of {asked} pictures"
    return PartlyFailed(problem, str(out), "They are listed above and in the result; the others are there")


def _settings(changes: tuple[str, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"expected KEY=VALUE, found {text!r}", "--set", "For example: --set threshold=0.3")
        place(settings, key.split("."), parse_value(value, text))
    return settings


def _model(text: str) -> PartModel:
    from stages.exchange.networks.trained_model import model_in_folder, model_of_node

    store, mark, node = text.rpartition("#")
    if mark:
        return model_of_node(Project.open(Store(store)), node)
    if (Path(text) / "config.json").is_file() or ("/" in text and Path(text).is_dir()):
        return model_in_folder(Path(text))
    return model_of_node(open_project(), text)
