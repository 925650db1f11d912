from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pdstore.errors import CorruptData, PdError
from stages.models.checkpoints import read_checkpoint
from stages.models.not_weights import refuse_not_weights
from stages.models.pickles import read_content, read_tensors
from stages.models.sources import local_checkpoint

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 866132400\n"
FILES = {
    "pointer": (LFS, r"a Git LFS pointer to a file of 866,132,400 bytes.*git lfs pull"),
    "page": (b"\n<!DOCTYPE html>\n<html><title>404</title>", r"a web page, not a file of weights.*Download the file"),
    "error page": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a web page"),
    "empty": (b"", "the file is empty"),
}


@pytest.mark.parametrize("suffix", ["pkl", "pth", "safetensors"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_not_weights_is_named(name: str, suffix: str, tmp_path: Path) -> None:
    """Whatever the file is called, the error says what it is and what to do."""
    content, why = FILES[name]
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CorruptData, match=f"{path}: .*{why}"):
        read_checkpoint(str(path))


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("name", ["pointer", "page"])
def test_a_folder_cloned_without_lfs_is_named(name: str, file: str, tmp_path: Path) -> None:
    """Before any network is built from it, for every user of a checkpoint's folder."""
    for other in ("model.safetensors", "config.json"):
        (tmp_path / other).write_bytes(b"{}")
    (tmp_path / file).write_bytes(FILES[name][0])
    for read in (local_checkpoint, read_checkpoint):
        with pytest.raises(PdError, match=f"{file}: .*{FILES[name][1]}"):
            read(str(tmp_path))


def test_weights_pass(tmp_path: Path) -> None:
    """Any other content is left to the reader of its format."""
    (tmp_path / "a").write_bytes(b"\x80\x04 version https://git-lfs")
    refuse_not_weights(tmp_path / "a")


def test_a_pickle_that_asks_for_more_memory_than_it_has_bytes_is_refused(tmp_path: Path) -> None:
    """Ten bytes would make the unpickler take 32 GiB; a number that a sound pickle has is no reason."""
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\x7f.")
    with pytest.raises(CorruptData, match="a pickle of 9 bytes that keeps 2147483647 values"):
        read_tensors(path)
    path.write_bytes(pickle.dumps({"a": [np.full(1, n) for n in range(400)], "b": np.ones(3)}, 2))
    assert len(read_content(path)["a"]) == 400


def test_an_archive_of_what_compresses_too_well_is_refused(tmp_path: Path) -> None:
    """torch stores weights as they are; a gigabyte of zeros in a megabyte is none of its files."""
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a/data.pkl", "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(CorruptData, match=r"an archive of \d+ bytes that would become 314572800"):
        read_tensors(path)


def test_a_tensor_that_repeats_one_number_is_refused(tmp_path: Path) -> None:
    """By its strides, it would become terabytes as soon as somebody copies it."""
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(1).expand(10**12)}, path)
    for read in (read_tensors, read_content):
        with pytest.raises(CorruptData, match="a tensor of the shape .* that is larger than what is stored"):
            read(path)
    torch.save({"a": torch.ones(2, 3).T, "b": torch.arange(6)[2:]}, path)
    assert read_tensors(path)["a"].shape == (3, 2)


def test_a_value_that_is_referred_to_many_times_is_looked_at_once(tmp_path: Path) -> None:
    """Forty lists that each hold the one before twice stand for a trillion values."""
    path = tmp_path / "a.pkl"
    value: list[object] = [np.ones(2)]
    for _ in range(40):
        value = [value, value]
    path.write_bytes(pickle.dumps({"a": value}))
    assert len(read_content(path)["a"]) == 2
