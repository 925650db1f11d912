"""What a row of an exported Parquet file is: one image with its masks, as Arrow and as Hugging Face ``datasets`` see
it.

``datasets`` reads the meaning of columns (which is an image, which is a class) from the metadata of the Arrow schema,
so that its ``load_dataset`` needs no script. Format: https://huggingface.co/docs/datasets/about_dataset_features
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

__all__ = ["arrow_schema", "image_columns", "mask_columns", "yaml_features"]

IMAGE, LABEL, BOX = "image", "class_label", "box"
_ARROW = {
    IMAGE: pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    LABEL: pa.int64(),
    BOX: pa.list_(pa.float32(), 4),
}


def image_columns(has_picture: bool, has_segments: bool) -> dict[str, str]:
    """Columns of a row but for its masks: name -> type."""
    plain = {"image_id": "int64", "key": "string", "split": "string", "wnid": "string", "class_name": "string"}
    sizes = {"height": "int32", "width": "int32"}
    return {
        **({"image": IMAGE} if has_picture else {}),
        **plain,
        **sizes,
        **({"segments": IMAGE} if has_segments else {}),
    }


def mask_columns(table_columns: Sequence[str]) -> dict[str, str]:
    """Columns of a mask: name -> type. Those that not every table of masks has are at the end."""
    fixed = {"id": "int64", "category": LABEL, "score": "float32", "bbox": BOX, "area": "int64", "rle": "string"}
    some = {"object_id": "int32", "cluster": "int32", "part_name": "string", "object_ratio": "float32"}
    return fixed | {name: kind for name, kind in some.items() if name in table_columns}


def arrow_schema(columns: Mapping[str, str], masks: Mapping[str, str], names: Sequence[str]) -> pa.Schema:
    """The Arrow schema, with the features in its metadata.

    Args:
        columns: of an image. masks: columns of a mask.
        names: of the categories, in the order of their numbers.
    """
    struct = pa.struct([(name, _arrow(kind)) for name, kind in masks.items()])
    fields = [*((name, _arrow(kind)) for name, kind in columns.items()), ("annotations", pa.list_(struct))]
    features: dict[str, Any] = {name: _feature(kind, names) for name, kind in columns.items()}
    features["annotations"] = [{name: _feature(kind, names) for name, kind in masks.items()}]
    return pa.schema(fields, {"huggingface": json.dumps({"info": {"features": features}})})


def yaml_features(columns: Mapping[str, str], masks: Mapping[str, str], names: Sequence[str]) -> list[dict[str, Any]]:
    """The same features as the header of a dataset card has them."""
    inner = [{"name": name, **_yaml(kind, names)} for name, kind in masks.items()]
    return [
        *({"name": name, **_yaml(kind, names)} for name, kind in columns.items()),
        {"name": "annotations", "list": inner},
    ]


def _arrow(kind: str) -> pa.DataType:
    return _ARROW.get(kind) or pa.type_for_alias(kind)


def _feature(kind: str, names: Sequence[str]) -> dict[str, Any]:
    if kind == IMAGE:
        return {"_type": "Image"}
    if kind == LABEL:
        return {"names": list(names), "_type": "ClassLabel"}
    if kind == BOX:
        return {"feature": {"dtype": "float32", "_type": "Value"}, "length": 4, "_type": "Sequence"}
    return {"dtype": kind, "_type": "Value"}


def _yaml(kind: str, names: Sequence[str]) -> dict[str, Any]:
    if kind == LABEL:
        return {"dtype": {"class_label": {"names": {str(n): name for n, name in enumerate(names)}}}}
    if kind == BOX:
        return {"sequence": "float32", "length": 4}
    return {"dtype": kind}
