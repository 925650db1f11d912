from __future__ import annotations

from pathlib import Path

import pytest

from pdstore.errors import CorruptData, PdError
from stages.models.checkpoints import read_checkpoint
from stages.models.not_weights import refuse_not_weights
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
