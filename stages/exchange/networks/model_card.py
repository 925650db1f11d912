"""The README.md beside an exported model: what it is, how good it is, how it was trained, and how to load it.

Everything in it follows from the store, so two exports of the same model are the same.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from pdstore.errors import printable
from pdstore.selection import open_selection
from schemas.catalog import catalog_of
from stages.exchange.networks.trained_model import readers
from stages.models.exported import is_stock
from stages.models.onnx_file import ONNX_NAME, OPSET
from stages.models.part_model import Kind, PartModel
from stages.plan.evaluations import metric_place
from stages.plan.pipeline import Node
from stages.plan.project import Project
from stages.training_place import TrainingPlace

__all__ = ["CARD_NAME", "model_card"]

CARD_NAME = "README.md"
SHOWN = 40
"""How many labels the card lists; config.json has them all."""
_WHAT: Mapping[Kind, str] = {
    "parts of a class": "Finds the parts of an object whose class is known. Parts have numbers, and mean the same in "
    "all pictures of a class.",
    "named parts": "Finds parts by their names. It was trained on parts that people drew.",
    "proposals": "Proposes masks of object parts, of whatever class. It was trained on part masks without names.",
    "objects": "Finds objects.",
}
_NUMBERS = """
SELECT evaluated, protocol, metric, value FROM metrics
WHERE class_name = '' AND part_name = '' AND protocol IN ('honest', 'reference') AND isfinite(value) ORDER BY ALL
"""


def model_card(project: Project, node: Node, model: PartModel, difference: float | None = None) -> bytes:
    """The card of the network of ``node``, exported for transformers or as ONNX.

    Args:
        difference: the largest between the logits of the ONNX file and of the network; None for transformers.
    """
    sections = [_head(node, model), _scores(project, node), _training(project, node, model)]
    sections += [_transformers(model) if difference is None else _onnx(model, difference), _labels(model)]
    return ("\n\n".join(section for section in sections if section) + "\n").encode()


def _head(node: Node, model: PartModel) -> str:
    front = {
        "library_name": "transformers",
        "pipeline_tag": "image-segmentation",
        "tags": ["mask2former", "part-segmentation", "part-distillation"],
    }
    network = model.network
    size = sum(value.numel() for value in network.parameters())
    lines = [
        "---",
        yaml.safe_dump(front, sort_keys=False).rstrip(),
        "---",
        "",
        f"# {printable(node.name)}",
        "",
        _WHAT[model.kind],
        "",
        f"A Mask2Former with a {network.settings.backbone} backbone, {network.settings.num_queries} queries and "
        f"{size:,} parameters, written by pd from a node of stage `{node.stage.name}`.",
    ]
    return "\n".join(lines)


def _scores(project: Project, node: Node) -> str:
    runners = {one.name for one in readers(project, node.name)}
    numbers = [row for row in catalog_of(project.store).query(_NUMBERS).to_pylist() if row["evaluated"] in runners]
    if not numbers:
        return "## Scores\n\nThis model has not been evaluated in the store that it comes from."
    metrics = sorted({row["metric"] for row in numbers}, key=metric_place)
    table: dict[tuple[str, str], dict[str, float]] = {}
    for row in numbers:
        table.setdefault((row["evaluated"], row["protocol"]), {})[row["metric"]] = row["value"]
    shown = [[*key, *(_number(values.get(metric)) for metric in metrics)] for key, values in table.items()]
    text = (
        "In percent, except for counts. The protocol `honest` scores held-out images, without help from their ground "
        "truth; `reference` is the published way. The settings of inference below are part of a score."
    )
    return f"## Scores\n\n{text}\n\n{_table(['node', 'protocol', *metrics], shown)}"


def _training(project: Project, node: Node, model: PartModel) -> str:
    lines = ["## Training and settings", ""]
    lines += [f"- {text}" for text in _counts(project, node)]
    settings = {
        "training" if node.stage.is_training else "import": node.settings.identity(),
        "inference": model.settings,
    }
    dumped = yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=True, allow_unicode=True).rstrip()
    return "\n".join([*lines, "", "```yaml", printable(dumped), "```"])


def _counts(project: Project, node: Node) -> list[str]:
    texts = []
    if node.stage.is_training:
        layer = project.shown(node.name)
        try:
            selection = open_selection(
                project.store, TrainingPlace(project.store, node.name, layer.fingerprint).selection
            )
        except FileNotFoundError:
            texts.append("the images that it was trained on are not recorded in the store any more")
        else:
            texts.append(f"trained on {len(selection):,} images")
    for role, names in node.inputs.items():
        for name in names:
            layer, table = project.shown(name), project[name].stage.output.name
            count = "" if role == "model" else f", {sum(m.rows[table] for m in layer.manifests().values()):,} rows"
            texts.append(f"input `{role}`: `{printable(name)}` (stage `{project[name].stage.name}`{count})")
    return texts


def _transformers(model: PartModel) -> str:
    is_own = not is_stock(model.network.settings)
    name = "AutoModelForUniversalSegmentation" if is_own else "Mask2FormerForUniversalSegmentation"
    extra = ", trust_remote_code=True" if is_own else ""
    why = (
        "The network does what transformers' own class does not (see `portable.py`), so its code lies beside the "
        "weights: read it, then trust it."
        if is_own
        else "No code but transformers' is needed."
    )
    block = f"""
import torch
from PIL import Image
from transformers import AutoImageProcessor, {name}

processor = AutoImageProcessor.from_pretrained(".")
model = {name}.from_pretrained("."{extra}).eval()
picture = Image.open("picture.jpg").convert("RGB")
with torch.no_grad():
    found = model(**processor(picture, return_tensors="pt"))
logits = found.class_queries_logits[0]
masks = torch.nn.functional.interpolate(found.masks_queries_logits, picture.size[::-1], mode="bilinear")[0]
{_meaning_in_code(model, "model.config.id2label")}
"""
    return f"## Load it\n\n{why}\n\n```python\n{block.strip()}\n```\n\n{_use(model)}"


def _onnx(model: PartModel, difference: float) -> str:
    long_side = int(model.settings.get("long_side") or model.trained_px or 640)
    has_class = model.kind == "parts of a class"
    chosen = ""
    if has_class:
        chosen = (
            'objects = json.loads(session.get_modelmeta().custom_metadata_map["objects"])\n'
            f'inputs["object_class"] = np.array([objects.index({json.dumps(model.object_names[0])})])\n'
        )
    block = f"""
{"import json" if has_class else ""}

import numpy as np
import onnxruntime
from PIL import Image

picture = Image.open("picture.jpg").convert("RGB")
sides = [max(32, round(side * {long_side} / max(picture.size) / 32) * 32) for side in picture.size]
session = onnxruntime.InferenceSession("{ONNX_NAME}")
inputs = {{"pixels": np.asarray(picture.resize(sides), np.float32).transpose(2, 0, 1)[None]}}
{chosen}class_logits, mask_logits = session.run(["class_logits", "mask_logits"], inputs)
"""
    also = ", and `object_class` (B,) int64" if has_class else ""
    text = (
        f"`{ONNX_NAME}` (opset {OPSET}) takes `pixels` (B, 3, H, W) float32 RGB, 0 to 255, for any B and any H and W "
        f"that are multiples of 32{also}. It gives `class_logits` (B, queries, classes + 1), whose last column is no "
        f"object, and `mask_logits`, above 0 inside. Its logits differed from the network's by at most "
        f"{difference:.1g} when it was written. Names are in its metadata, as JSON."
    )
    return f"## Load it\n\n{text}\n\n```python\n{block.strip()}\n```"


def _meaning_in_code(model: PartModel, names: str) -> str:
    if model.kind in ("proposals", "objects"):
        return "scores = 1 - logits.softmax(-1)[:, -1]  # of each query\nmasks = masks > 0"
    lines, columns = [], ":"
    if len(model.objects) > 1:
        label = f"{model.object_names[0]}: part 0"
        lines.append(f"first = next(number for number, name in {names}.items() if name == {json.dumps(label)})")
        columns = f"[*range(first, first + {model.network.num_classes}), -1]"
    threshold = float(model.settings.get("threshold", 0.5))
    lines += [
        f"classes = logits[:, {columns}].softmax(-1)[:, :-1]",
        'chances = torch.einsum("qk,qhw->khw", classes, masks.sigmoid())  # (parts, height, width)',
        f"parts = torch.where(chances.amax(0) > {threshold:g}, chances.argmax(0), -1)  # -1 is no part",
    ]
    return "\n".join(lines)


def _use(model: PartModel) -> str:
    texts = []
    if len(model.objects) > 1:
        texts.append(
            "The head is unrolled: it has the parts of every object class. Choose the class of the object first, as "
            "above: probabilities are a softmax over the parts of one class and the last column, no object. "
            "transformers' `post_process_…` functions take all labels together, which is something else; a folder with "
            "one class (`pd weights export … --class NAME`) works with them."
        )
    words = f" --class {shlex.quote(model.object_names[0])}" if model.objects else ""
    texts.append(f"pd runs it with all of the settings above: `pd predict FOLDER PICTURES{words} --out parts.json`.")
    return "\n\n".join(texts)


def _labels(model: PartModel) -> str:
    if model.kind == "proposals":
        return ""
    if model.objects:
        names = model.object_names
        head = f"## Object classes\n\n{len(names):,}, each with {model.network.num_classes} parts: "
    else:
        names = model.label_names()
        head = f"## Labels\n\n{len(names):,}: "
    more = f" … and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return head + ", ".join(printable(name) for name in names[:SHOWN]) + more


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value > 100 else f"{value:.1f}"


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    head = list(columns)
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(printable(cell) for cell in line)} |" for line in lines)
