"""Files of pseudo-labels, written key by key as the original's own code writes them, for the tests that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco

__all__ = ["encoded", "labels_file", "objects_file", "parts_file", "write"]


def encoded(stack: np.ndarray) -> list[dict[str, Any]]:
    """(N, H, W) bool -> the masks of a file."""
    found = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in stack]
    return [{"segmentation": {"size": rle["size"], "counts": rle["counts"].decode("utf-8")}} for rle in found]


def objects_file(stack: np.ndarray, names: list[str], scores: list[float], class_name: str = "cat") -> dict[str, Any]:
    """What Detic's predictions are saved as."""
    height, width = stack.shape[1:]
    described = {"file_name": "0_0.png", "file_path": "images/0_0.png", "class_code": "n1", "class_name": class_name}
    drawn = {"object_masks": encoded(stack), "object_boxes": torch.zeros(len(stack), 4), "pred_names": names}
    return described | drawn | {"object_scores": torch.tensor(scores), "height": height, "width": width}


def parts_file(stack: np.ndarray) -> dict[str, Any]:
    """What pixel grouping is saved as."""
    height, width = stack.shape[1:]
    described = {"file_name": "0_0.png", "file_path": "images/0_0.png", "class_code": "n1", "class_name": "cat"}
    drawn = {"part_mask": encoded(stack), "object_ratio": float(stack.any(0).mean()), "class_index": 0}
    return described | drawn | {"height": height, "width": width}


def labels_file(stack: np.ndarray, clusters: list[int], scores: list[float]) -> dict[str, Any]:
    """What part ranking is saved as."""
    height, width = stack.shape[1:]
    described = {"file_name": "images/0_0.png", "image_id": "0_0.png", "class_code": "n1", "object_class_label": 0}
    drawn = {"part_masks": encoded(stack), "part_labels": torch.tensor(clusters), "object_ratio": float(stack.mean())}
    ratios = torch.tensor(stack).flatten(1).sum(-1) / (height * width)
    scored = {"part_ratios": ratios, "part_scores": np.array(scores, np.float32)}
    return described | drawn | scored | {"height": height, "width": width}


def write(folder: Path, code: str, name: str, content: Any) -> Path:
    """Save a file where a tree has it."""
    path = folder / code / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path
