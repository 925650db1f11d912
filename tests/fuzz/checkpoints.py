"""Files of weights, of the original's pseudo-labels, and of NumPy arrays."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from pdstore import masks
from stages.datasets.original_files import file_bytes, read_file, segmentations
from stages.detectors.prompts import read_embeddings
from stages.kernels.naming.scorer import Scorer, pack, unpack
from stages.models.network_files import WEIGHTS_NAME, load_weights
from stages.models.pickles import read_content, read_tensors
from tests.fuzz.mutations import mutated_bytes, mutated_json

__all__ = ["DOORS"]


def _weights(folder: Path) -> list[bytes]:
    tensors = OrderedDict({"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2, dtype=torch.float16)})
    files = []
    for is_zip in (True, False):
        sink = io.BytesIO()
        torch.save({"model": tensors, "epoch": 3}, sink, _use_new_zipfile_serialization=is_zip)
        files.append(sink.getvalue())
    arrays = {"model": {"a": np.ones((3, 4), np.float32), "b": np.arange(3)}, "note": "x"}
    return [*files, *(pickle.dumps(arrays, protocol) for protocol in (0, 2, 4))]


def _mutated_weights(random: random.Random, files: list[bytes]) -> bytes:
    data = random.choice(files)
    if data[:2] != b"PK" or random.random() < 0.3:
        return mutated_bytes(random, data, files)
    # Inside the archive, so that its checksums are right.
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w") as new:
        chosen = random.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
            new.writestr(name, mutated_bytes(random, content) if name == chosen else content, method)
    return sink.getvalue()


def _read_weights(folder: Path, data: bytes) -> None:
    path = folder / "weights"
    path.write_bytes(data)
    for tensor in read_tensors(path).values():
        tensor.float().sum()


def _safe(folder: Path) -> list[bytes]:
    return [save({"a": torch.ones(3, 4), "b": torch.arange(5)}, {"format": "pt"})]


def _mutated_safe(random: random.Random, files: list[bytes]) -> bytes:
    data = random.choice(files)
    if random.random() < 0.4:
        return mutated_bytes(random, data)
    size = int.from_bytes(data[:8], "little")
    header = mutated_json(random, json.loads(data[8 : 8 + size]))
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def _read_safe(folder: Path, data: bytes) -> None:
    (folder / WEIGHTS_NAME).write_bytes(data)
    load_weights(folder)


def _originals(folder: Path) -> list[bytes]:
    rle = segmentations(masks.encode(np.random.default_rng(0).random((2, 6, 8)) < 0.5), 6, 8)
    labels = {"part_masks": rle, "part_labels": torch.tensor([3, 1]), "part_scores": np.array([0.5, 1], np.float32)}
    objects = {"object_masks": rle, "class_name": "cat", "object_scores": torch.ones(2)}
    return [file_bytes(labels), file_bytes(objects), pickle.dumps(objects | {"object_scores": np.ones(2)})]


def _read_original(folder: Path, data: bytes) -> None:
    path = folder / "a.JPEG"
    path.write_bytes(data)
    read_content(path)
    read_file(path)


def _arrays(folder: Path) -> list[bytes]:
    sink = io.BytesIO()
    np.save(sink, np.ones((3, 4), np.float32))
    shares = np.array([0.5, 0.5], np.float32)
    scorer = Scorer(np.ones((2, 4), np.float32), np.zeros(2, np.float32), np.arange(2), shares, True, False, False)
    return [sink.getvalue(), pack({3: scorer})]


def _mutated_arrays(random: random.Random, files: list[bytes]) -> bytes:
    return _mutated_weights(random, files) if random.random() < 0.5 else mutated_bytes(random, random.choice(files))


def _read_arrays(folder: Path, data: bytes) -> None:
    path = folder / "a.npy"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):  # as the nodes take it: the file is damaged
        unpack(data)
    read_embeddings(path, 3)


DOORS = {
    "weights": (_weights, _mutated_weights, _read_weights, 2),
    "safetensors": (_safe, _mutated_safe, _read_safe, 1),
    "original files": (_originals, _mutated_weights, _read_original, 1),
    "arrays": (_arrays, _mutated_arrays, _read_arrays, 1),
}
