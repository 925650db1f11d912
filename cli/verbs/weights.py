"""``pd weights``: check and convert published checkpoints, and export what was trained."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cli.output import print_json, print_table, say
from cli.session import open_project
from pdstore.errors import UsageError, printable
from schemas.stages import WeightsSettings
from schemas.training import NETWORK_PRESETS
from stages.plan.overrides import parse_value

if TYPE_CHECKING:
    from stages.models.checkpoints import Checkpoint

__all__ = ["command"]


@click.group("weights")
def command() -> None:
    """Check whether published weights fit, convert them to safetensors, and export trained models.

    A source is an official Mask2Former or original PartDistillation file (.pkl, .pth, .safetensors), a folder that
    transformers' save_pretrained or this program wrote, or org/name@revision on the Hugging Face hub. Pickles are read
    without running them.

    \b
    Examples:
      pd weights check model_final_e5f453.pkl --preset swin-l
      pd weights convert model_final_e5f453.pkl weights/mask2former --preset swin-l
      pd --store parts weights export distill-train part-model
    """


def _network_options(function: Any) -> Any:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--num-parts", type=click.IntRange(0), default=0, metavar="N",
                     help="Parts per object class, for a class-specific head."),
        click.option("--preset", type=click.Choice(sorted(NETWORK_PRESETS)), help="The network the file must fit."),
        click.argument("values", nargs=-1, metavar="[KEY=VALUE]…"),
    ):  # fmt: skip
        function = option(function)
    return function


@command.command("check")
@click.argument("source")
@_network_options
def check(source: str, values: tuple[str, ...], preset: str | None, num_parts: int, as_json: bool) -> None:
    """Say whether SOURCE fits a network, and list what does not. KEY=VALUE are settings of the network.

    Without a preset or settings, SOURCE must fit the network that its own shapes describe, with no tensor missing or
    left over.

    \b
    Examples:
      pd weights check model_final_e5f453.pkl --preset swin-l
      pd weights check part_distillation.pth --preset swin-l --num-parts 8
      pd weights check facebook/mask2former-swin-large-coco-instance
    """
    checkpoint = _read(source, values, preset, num_parts)
    if as_json:
        print_json({**_summary(checkpoint), "faults": checkpoint.faults, "fits": not checkpoint.faults})
    else:
        print_table(("", "found"), _summary(checkpoint).items())
        print(*map(printable, checkpoint.faults or ["fits: every tensor has a counterpart"]), sep="\n")
    if checkpoint.faults:
        raise click.exceptions.Exit(1)


@command.command("convert")
@click.argument("source")
@click.argument("target", metavar="DST", type=click.Path(path_type=Path, file_okay=False))
@_network_options
def convert(
    source: str, target: Path, values: tuple[str, ...], preset: str | None, num_parts: int, as_json: bool
) -> None:
    """Write SOURCE as safetensors: DST/model.safetensors, DST/config.json, and DST/classes.json if it names classes.

    Prints the sha256 of the weights. A weights node takes SOURCE or DST; once converted, no pickle is read again.

    \b
    Examples:
      pd weights convert model_final_e5f453.pkl weights/mask2former --preset swin-l
      pd weights convert proposal.pth weights/proposal --preset swin-l
    """
    from stages.models.network_files import WEIGHTS_NAME, network_files, write_files

    if target.is_dir() and any(target.iterdir()):
        raise UsageError("expected a new or empty folder, found files in it", str(target), "Name another folder")
    checkpoint = _read(source, values, preset, num_parts)
    files = network_files(checkpoint.network(), checkpoint.labels)
    write_files(files, target)
    digest = hashlib.sha256(files[WEIGHTS_NAME]).hexdigest()
    if as_json:
        print_json({**_summary(checkpoint), "folder": str(target), "sha256": digest})
    else:
        print(f"{digest}  {target / WEIGHTS_NAME}")
        say(f"{len(checkpoint.tensors)} tensors converted")


@command.command("export")
@click.argument("node")
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["transformers", "onnx"]), default="transformers",
              show_default=True, help="For from_pretrained, or for ONNX runtimes.")  # fmt: skip
@click.option("--class", "classes", multiple=True, metavar="NAME",
              help="Only this object class of a class-specific head; may be repeated.")  # fmt: skip
def export(node: str, target: Path, form: Literal["transformers", "onnx"], classes: tuple[str, ...]) -> None:
    """Write the network of NODE as a new folder DIR that other programs load, with a model card.

    NODE trains or imports a network, or runs one. The card (README.md) has the scores that the store knows, the
    settings, and code that loads the folder. The head of a class-specific model is unrolled, with labels such as
    "dog: part 3": docs/models.md says what its probabilities are.

    \b
    Examples:
      pd weights export distill-train part-model
      pd weights export distill-train dog-parts --class dog
      pd weights export proposal-train proposals-onnx --format onnx
    """
    from stages.exchange.networks.export import check_new_folder, export_model

    check_new_folder(target)
    text = export_model(open_project(), node, target, form, classes)
    say(text)
    print(target)


def _read(source: str, values: tuple[str, ...], preset: str | None, num_parts: int) -> Checkpoint:
    from stages.models.checkpoints import read_checkpoint

    network = {**({"preset": preset} if preset else {}), **dict(_setting(text) for text in values)}
    given = {"file": source, "num_parts": num_parts, **({"network": network} if network else {})}
    settings = WeightsSettings.parse(given, "weights", "See the settings of networks with: pd config schema")
    return read_checkpoint(settings.file, settings.network, settings.num_parts)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"expected KEY=VALUE, found {text!r}", "pd weights", "For example: num_queries=100")
    return name, parse_value(value, text)


def _summary(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "source": checkpoint.source,
        "format": checkpoint.kind,
        "classes": checkpoint.num_classes,
        "object_classes": checkpoint.num_objects,
        "tensors": len(checkpoint.tensors),
    }
