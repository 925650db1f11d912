from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdstore import Store, StoreInfo, layout
from pdstore.errors import CorruptData
from pdstore.files import Files
from pdstore.info import FORMAT, LayerInfo, read_record
from tests.pdstore.conftest import Place
from tests.pdstore.example import PARTS, filled, identity

STORE_INFO = StoreInfo(block_size=8, seed=3, source={"images": "/photos"}, vocabulary="abc")
LAYER_INFO = LayerInfo("grouping", identity(k=4), PARTS, "pdstore 0.1.0")


def as_json(values: Any) -> Any:
    return json.loads(json.dumps(values))


class TestRecords:
    """Reading a JSON record, wherever the store is."""

    @pytest.fixture
    def files(self, place: Place) -> Files:
        return Files(place.url, **place.options)

    def test_a_record_is_parsed(self, files: Files) -> None:
        """The JSON value is handed to ``parse``, whose result is returned."""
        files.write("a.json", b'{"x": [1, 2]}')
        assert read_record(files, "a.json", lambda values: sum(values["x"])) == 3

    def test_a_missing_record_is_not_found(self, files: Files) -> None:
        """It is FileNotFoundError, which callers turn into what is missing for them."""
        with pytest.raises(FileNotFoundError):
            read_record(files, "a.json", dict)

    @pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe{}", b"[]", b"null", b'"x"', b"{}", b'{"x": 7}'])
    def test_a_damaged_record_is_named(self, files: Files, data: bytes) -> None:
        """Data that is not JSON, or is not what ``parse`` expects, is CorruptData with the path and the remedy."""
        files.write("deep/a.json", data)
        with pytest.raises(CorruptData, match="is not a record that this program wrote.*Restore the file") as caught:
            read_record(files, "deep/a.json", lambda values: len(values["x"]))
        assert caught.value.where == files.full("deep/a.json")

    def test_an_error_of_the_storage_is_not_damage(self, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
        """A read that failed may succeed later, so the record must not be called damaged."""

        def reset(path: str) -> bytes:
            raise ConnectionResetError("reset by peer")

        monkeypatch.setattr(files, "read", reset)
        with pytest.raises(ConnectionResetError):
            read_record(files, "a.json", dict)


def test_the_record_of_a_store_round_trips() -> None:
    """``from_dict`` undoes the JSON that ``Store.create`` writes."""
    assert StoreInfo.from_dict(as_json(vars(STORE_INFO))) == STORE_INFO
    assert STORE_INFO.format == FORMAT


def test_the_record_of_a_layer_round_trips() -> None:
    """``from_dict`` undoes ``to_dict``, which is JSON."""
    assert LayerInfo.from_dict(as_json(LAYER_INFO.to_dict())) == LAYER_INFO


@pytest.mark.parametrize("key", ["node", "identity", "table", "program"])
def test_a_record_of_a_layer_needs_every_key(key: str) -> None:
    """A record that lacks one of its keys is not taken for a layer."""
    values = LAYER_INFO.to_dict()
    del values[key]
    with pytest.raises(KeyError, match=key):
        LayerInfo.from_dict(values)


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "other": 2}'])
def test_a_damaged_store_file_is_named(tmp_path: Path, data: str) -> None:
    """Whatever its content, the error is CorruptData with its path."""
    (tmp_path / "store.json").write_text(data)
    with pytest.raises(CorruptData, match=f"{tmp_path}/store.json: .*this program wrote"):
        Store(str(tmp_path))


def test_a_damaged_layer_file_is_named(tmp_path: Path) -> None:
    """The error is CorruptData with its path."""
    layer = filled(str(tmp_path))
    path = layout.layer_info("grouping", layer.fingerprint)
    layer.store.files.write(path, b'{"node": "grouping"}')
    with pytest.raises(CorruptData, match=f"{tmp_path}/{path}: .*'identity'"):
        _ = Store(str(tmp_path)).layer("grouping", layer.fingerprint).table


def test_a_newer_format_asks_for_a_newer_program(tmp_path: Path) -> None:
    """A store of format 3 may have other keys: it is not opened, and not called damaged."""
    (tmp_path / "store.json").write_text('{"format": 3, "blocks": 7}')
    message = "store.json: expected a store of format 2, found format 3. Update the program"
    with pytest.raises(CorruptData, match=message):
        Store(str(tmp_path))
