"""Files of a store that somebody else wrote: their digests are right, their content is not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import shutil
import struct
from pathlib import Path

import google_crc32c
import numcodecs.zstd

from pdstore import Layer, PdError, layout
from pdstore.catalog import Catalog
from pdstore.commit import Manifest, commit_attempt
from pdstore.files import Files
from pdstore.fingerprint import digest
from pdstore.index.indexfile import _DIGEST_BYTES, IndexFile
from pdstore.info import LayerInfo, StoreInfo, read_record
from pdstore.judgements.records import Judgement, Subject
from pdstore.leases.record import LeaseRecord
from pdstore.verify import verify
from tests.fuzz.mutations import mutated_bytes, mutated_json
from tests.pdstore.example import TABLES, errors, filled, identity, new_layer, new_store, parts

__all__ = ["DOORS"]

_QUERY = "SELECT count(*), sum(score), max(name), sum(mask_area(rle)) FROM parts"


def _units(folder: Path) -> list[bytes]:
    layer = new_layer(new_store(str(folder / "seed")), k=4)
    manifest = layer.commit(0, parts(40), errors=errors(2))
    files = {name: layer.store.files.read(f"{manifest.folder}/{name}") for name in manifest.files}
    return [_packed(files)]


def _packed(files: dict[str, bytes]) -> bytes:
    return json.dumps({name: base64.b64encode(data).decode() for name, data in files.items()}).encode()


def _unpacked(data: bytes) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in json.loads(data).items()}


def _mutated_unit(random: random.Random, seeds: list[bytes]) -> bytes:
    files = _unpacked(random.choice(seeds))
    name = random.choice([n for n in files if random.random() < 0.7 or not n.endswith("zarr.json")] or list(files))
    data = files[name]
    if name.endswith("zarr.json"):
        files[name] = mutated_json(random, json.loads(data))
    elif "/c/" in name and random.random() < 0.8:
        # What is inside: the compressed bytes or the values, behind a checksum that is right.
        body = data[:-4]
        if random.random() < 0.5:
            body = mutated_bytes(random, body)
        else:
            values = numcodecs.zstd.decompress(body)
            values = mutated_bytes(random, values) if random.random() < 0.7 else bytes(random.choice([0, 1 << 24]))
            body = numcodecs.zstd.compress(values, 1)
        files[name] = body + struct.pack("<I", google_crc32c.value(body))
    else:
        files[name] = mutated_bytes(random, data)
    return _packed(files)


def _read_unit(folder: Path, data: bytes) -> None:
    shutil.rmtree(folder / "store", ignore_errors=True)
    layer = new_layer(new_store(str(folder / "store")), k=4)
    commit_attempt(
        layer.store.files, layer.node, layer.fingerprint, 0, _unpacked(data), rows={"parts": 40}, inputs={}, started=0.0
    )
    for read in (_read_all, _read_some, _verify, _ask):
        try:
            read(layer)
        except PdError:
            continue


def _read_all(layer: Layer) -> None:
    rows = layer.read(0)
    list(rows.ragged("rle"))


def _read_some(layer: Layer) -> None:
    layer.read_images(0, [1, 2, 30], ["image_id", "name", "feature", "rle"])


def _verify(layer: Layer) -> None:
    list(verify(layer.store))


def _ask(layer: Layer) -> None:
    Catalog(layer.store, TABLES, {layer.node: layer.fingerprint}).query(_QUERY)


def _records(folder: Path) -> list[bytes]:
    layer = filled(str(folder / "records"))
    files, place = layer.store.files, (layer.node, layer.fingerprint)
    subject = Subject(*place, image_id=1, object_id=0, row_id=2)
    kinds = {
        "manifest": files.read(layout.commit(*place, 0)),
        "layer": files.read(layout.layer_info(*place)),
        "store": files.read(layout.STORE),
        "judgement": Judgement(0, "me", "tag", (subject,), "good", token="a").to_json(),
        "lease": LeaseRecord.new(60.0).to_json("a"),
    }
    return [json.dumps([kind, data.decode()]).encode() for kind, data in kinds.items()]


def _mutated_record(random: random.Random, seeds: list[bytes]) -> bytes:
    kind, text = json.loads(random.choice(seeds))
    values = json.loads(text)
    values.pop("digest", None)
    return json.dumps([kind, mutated_json(random, values).decode("latin1")]).encode()


def _read_record(folder: Path, data: bytes) -> None:
    kind, text = json.loads(data)
    signed = text.encode("latin1")
    with contextlib.suppress(ValueError, TypeError, RecursionError, AttributeError):
        values = json.loads(signed)
        signed = json.dumps(values | {"digest": digest({k: v for k, v in values.items()})}).encode()
    if kind == "manifest":
        known = json.loads(text) if signed != text.encode("latin1") else {}
        names = [known.get(key) for key in ("node", "layer", "unit")]
        if all(isinstance(name, str) for name in names[:2]) and type(names[2]) is int:
            manifest = Manifest.from_json(signed, *names)
            str(manifest.content), manifest.size
    elif kind == "judgement":
        Judgement.from_json(signed, 0)
    elif kind == "lease":
        LeaseRecord.from_json(signed, "a")
    else:
        files = Files(str(folder))
        files.write(kind, signed)
        read_record(files, kind, LayerInfo.from_dict if kind == "layer" else StoreInfo.from_dict)


def _indexes(folder: Path) -> list[bytes]:
    layer = filled(str(folder / "indexed"))
    layer.compact(everything=True)
    files, place = layer.store.files, (layer.node, layer.fingerprint)
    names = [name for name in files.names(layout.index(*place)) if name.endswith(".arrow")]
    return [files.read(f"{layout.index(*place)}/{name}") for name in names]


def _mutated_index(random: random.Random, seeds: list[bytes]) -> bytes:
    content = mutated_bytes(random, random.choice(seeds)[:-_DIGEST_BYTES])
    return content + hashlib.sha256(content).hexdigest().encode()


def _read_index(folder: Path, data: bytes) -> None:
    place = "grouping", identity(k=4).fingerprint
    try:
        found = IndexFile.from_bytes(data, *place, 0)
        len(found.units), len(found.names), found.row_files
    except ValueError:
        return  # as pdstore.index.reader takes it: the index is not used


DOORS = {
    "units": (_units, _mutated_unit, _read_unit, 2),
    "records": (_records, _mutated_record, _read_record, 1),
    "indexes": (_indexes, _mutated_index, _read_index, 1),
}
