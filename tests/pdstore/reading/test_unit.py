from __future__ import annotations

from pathlib import Path

import pytest

from pdstore import Layer
from pdstore.errors import CorruptData
from pdstore.reading.unit import ARROW_DAMAGE, decoding, read_files, read_unit
from tests.pdstore.example import PARTS, assert_equal, filled, parts


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return filled(str(tmp_path))


def test_a_unit_is_read_from_its_manifest(layer: Layer) -> None:
    """All columns, or some."""
    files, manifest = layer.store.files, layer.manifest(1)
    assert_equal(read_unit(files, manifest, PARTS, PARTS.names), parts(5, 1))
    assert set(read_unit(files, manifest, PARTS, ["rle", "part"]).columns) == {"rle", "part"}


def test_files_are_verified(layer: Layer) -> None:
    """By the manifest's checksums, chunks too: their own would also hold in a file of another unit."""
    files, manifest = layer.store.files, layer.manifest(0)
    names = ["rows.parquet", "data.zarr/rle/c/0"]
    assert list(read_files(files, manifest, names)) == names
    for name in names:
        files.write(f"{manifest.folder}/{name}", b"other")
    with pytest.raises(CorruptData, match=r"grouping unit 0: rows\.parquet is damaged: 5 bytes instead of"):
        read_files(files, manifest, names)
    with pytest.raises(CorruptData, match=r"data\.zarr/rle/c/0 is damaged: 5 bytes instead of"):
        read_unit(files, manifest, PARTS, ["rle"])


def test_a_read_that_failed_is_not_damage(layer: Layer) -> None:
    """It is passed on, so that it is tried again; only while Arrow decodes is an OSError damage."""
    manifest = layer.manifest(0)
    with pytest.raises(OSError, match="the network is down"), decoding(manifest):
        raise OSError("the network is down")
    for error, damage in ((OSError("bad"), ARROW_DAMAGE), (ValueError("bad"), (ValueError,))):
        with pytest.raises(CorruptData, match="cannot be decoded: bad"), decoding(manifest, damage):
            raise error
    with pytest.raises(CorruptData, match="a committed file is missing: gone"), decoding(manifest):
        raise FileNotFoundError("gone")
