"""The files in which the original system keeps its pseudo-labels: one file of ``torch.save`` per image.

A tree of them is a folder per class, named by the class's code, with a file per image that has the image's own name:
``n01440764/n01440764_18.JPEG``. There are three kinds, told apart by their keys:

``objects`` (Detic's predictions)
    ``object_masks``, ``object_boxes`` (N, 4) float32 x0 y0 x1 y1, ``object_scores`` (N,) float32, ``pred_names``, and
    ``file_name``, ``file_path``, ``class_code``, ``class_name``, ``height``, ``width``.
``parts`` (pixel grouping, before and after the CRF)
    ``part_mask``, ``object_ratio``, ``class_index``, and the same six. One CRF script names the masks ``part_masks``.
``labels`` (part ranking, in ``part_masks_with_class``, and the final model's predictions)
    ``part_masks``, ``part_labels`` (N,) int64, ``part_scores`` (N,) float32 of NumPy, ``object_ratio``, ``part_ratios``
    (N,) float32 or ``part_area_ratios``, ``object_class_label``; ``file_name`` is the path and ``image_id`` the name.

Masks are ``[{"segmentation": {"size": [h, w], "counts": str}}]`` in the grid of the picture scaled to a longer side of
640 pixels, also of smaller pictures; those of labels are padded to a square on the right and below. Under the key
``pdstore``, which the original's code never reads, our files have the columns that it has no place for.

Source: reference ``labeling_detic.py``, ``proposal_generation_model.py``, ``continuously_postprocess_dcrf.py``,
``part_ranking_model.py``, ``part_distillation_model.py``; read by ``register_imagenet.py``,
``register_imagenet_with_proposals.py`` and ``part_distillation_dataset_mapper.py``.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pdstore import Ragged
from pdstore.errors import CorruptData, InputMissing
from pdstore.runlength import check_masks
from stages.source.images import ImageFault

__all__ = ["DAMAGED", "EXTRA", "NO_FILE", "Kind", "OriginalFile", "file_bytes", "read_file", "segmentations"]

Kind = Literal["objects", "parts", "labels"]
EXTRA = "pdstore"
"""Key of the columns that the original has no place for: column -> tensor or list of text, one value per mask."""
NO_FILE = "no_annotation"
DAMAGED = "bad_annotation"
_MASKS: Mapping[Kind, tuple[str, ...]] = {
    "objects": ("object_masks",),
    "labels": ("part_masks",),
    "parts": ("part_mask", "part_masks"),
}


@dataclass(frozen=True)
class OriginalFile:
    """The content of one file.

    Attributes:
        height, width: grid of the masks, in pixels; 0 without masks.
        rle: COCO compressed run lengths of the N masks.
        class_name: name of the image's class, as the original has it.
        names: N names of objects, in ``objects``; empty text if the file does not tell them.
        scores: (N,) float32; 1 where the kind has none.
        clusters: (N,) int64, in ``labels``; otherwise zeros.
        columns: the columns under ``EXTRA``, (N,) or (N, D) arrays or lists of N texts.
    """

    kind: Kind
    height: int
    width: int
    rle: Ragged
    class_name: str
    names: Sequence[str]
    scores: npt.NDArray[np.float32]
    clusters: npt.NDArray[np.int64]
    columns: Mapping[str, Any] = field(default_factory=dict)


def read_file(path: Path) -> OriginalFile:
    """The content of a file, which is not trusted: nothing that it names is run.

    Raises:
        ImageFault: there is no such file, or it is damaged or of another kind; the detail names it.
    """
    from stages.models.pickles import read_content

    try:
        content = read_content(path)
        if not isinstance(content, dict):
            raise TypeError(f"the file holds {type(content).__name__}, not a mapping")
        return _parsed(content)
    except InputMissing:
        raise ImageFault(NO_FILE, f"there is no file {path}") from None
    except CorruptData as error:
        raise ImageFault(DAMAGED, str(error)) from None
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ImageFault(DAMAGED, f"expected a file of the original's pseudo-labels, found {found}: {path}") from None


def file_bytes(content: Mapping[str, Any]) -> bytes:
    """What ``torch.save`` writes of ``content``, readable with every version of NumPy and of torch since 1.6.

    NumPy 2 names a function of pickled arrays by a module that NumPy 1 does not have, so the former name is written,
    which both have.
    """
    import torch

    file = io.BytesIO()
    torch.save(dict(content), file, pickle_module=_PICKLE, pickle_protocol=2)
    return file.getvalue()


def segmentations(rle: Ragged, height: int, width: int) -> list[dict[str, Any]]:
    """Masks as the original writes them."""
    return [{"segmentation": {"size": [height, width], "counts": counts.decode()}} for counts in rle]


class _Pickler(pickle._Pickler):
    def save_global(self, obj: Any, name: str | None = None) -> None:
        if getattr(obj, "__module__", "") == "numpy._core.multiarray":
            self.write(b"cnumpy.core.multiarray\n" + obj.__name__.encode() + b"\n")  # type: ignore[attr-defined]
            self.memoize(obj)  # type: ignore[attr-defined]
        else:
            super().save_global(obj, name)  # type: ignore[misc]


_PICKLE = SimpleNamespace(__name__="pickle", Pickler=_Pickler)
"""What ``torch.save`` asks of a module that pickles."""


def _parsed(content: Mapping[str, Any]) -> OriginalFile:
    kind: Kind = "objects" if "object_masks" in content else "labels" if "part_labels" in content else "parts"
    key = next((name for name in _MASKS[kind] if name in content), _MASKS[kind][0])
    masks = content[key]
    # The original writes None for a picture that has no parts.
    masks = [mask["segmentation"] for mask in masks] if masks is not None else []
    sizes = {tuple(int(side) for side in mask["size"]) for mask in masks}
    if len(sizes) > 1:
        raise ValueError(f"masks of the sizes {sorted(sizes)}")
    height, width = next(iter(sizes), (0, 0))
    counts = [mask["counts"] for mask in masks]
    rle = Ragged.from_list(c.encode() if isinstance(c, str) else bytes(c) for c in counts)
    check_masks(rle, height, width)
    n = len(rle)
    scores = {"objects": "object_scores", "labels": "part_scores"}.get(kind, "")
    return OriginalFile(
        kind,
        height,
        width,
        rle,
        str(content.get("class_name", "")),
        _names(content.get("pred_names", ()), n),
        _numbers(content[scores], n, np.float32) if scores in content else np.ones(n, np.float32),
        _numbers(content["part_labels"], n, np.int64) if kind == "labels" else np.zeros(n, np.int64),
        _columns(content.get(EXTRA), n),
    )


def _numbers(values: Any, length: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
    numbers = np.asarray(values)
    if numbers.shape != (length,) or numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise ValueError(f"numbers of the shape {numbers.shape} for {length} masks")
    return numbers.astype(dtype)


def _names(values: Any, length: int) -> list[str]:
    """One fork writes a name per detection instead of one per mask that is kept: then only one for all is a name."""
    names = [str(value) for value in values]
    if len(names) != length:
        names = names[:1] * length if len(set(names)) == 1 else [""] * length
    return names


def _columns(values: Any, length: int) -> dict[str, Any]:
    """Nothing if they are not of these masks, as after somebody has edited the file."""
    columns = {str(name): v if isinstance(v, list) else np.asarray(v) for name, v in (values or {}).items()}
    return columns if all(len(column) == length for column in columns.values()) else {}
