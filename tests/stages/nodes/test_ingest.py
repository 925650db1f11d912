from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import PdError, Rows, Store
from schemas.pipeline import PipelineSpec, SourceSpec
from schemas.stages import IngestSettings
from stages.plan.project import Project
from stages.plan.states import states
from stages.run.options import RunOptions
from stages.run.runner import run_node

INGEST = PipelineSpec.parse({"block_size": 64, "nodes": {"ingest": {}}}, "pipeline")


def encoded(pixels: np.ndarray, kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(np.zeros((20, 30, 3), np.uint8), "JPEG", exif=exif)


RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 255, (20, 30, 3), dtype=np.uint8)
JPEG = encoded(NOISE, "JPEG")
GOOD = {
    "photo.jpg": (JPEG, "JPEG/RGB"),
    "png.JPEG": (encoded(NOISE, "PNG"), "PNG/RGB"),
    "cmyk.jpg": (encoded(NOISE, "JPEG", "CMYK"), "JPEG/CMYK"),
    "gray.jpg": (encoded(NOISE, "JPEG", "L"), "JPEG/L"),
    "deep.png": (encoded(NOISE[..., 0].astype(np.uint16) * 256, "PNG", "I;16"), "PNG/I;16"),
    "palette.png": (encoded(NOISE, "PNG", "P"), "PNG/P"),
    "alpha.png": (encoded(NOISE, "PNG", "RGBA"), "PNG/RGBA"),
    "one.png": (encoded(np.zeros((1, 1, 3), np.uint8), "PNG"), "PNG/RGB"),
}
BAD = {
    "cut.jpg": (JPEG[: len(JPEG) // 2], "truncated"),
    "empty.jpg": (b"", "empty_file"),
    "text.jpg": (b"this is no image\n" * 9, "not_an_image"),
    "huge.png": (encoded(np.zeros((40, 40, 3), np.uint8), "PNG"), "too_large"),
}


def ingest(store: Store, **options: float) -> None:
    run_node(Project.open(store), "ingest", RunOptions(**options))


def read(store: Store, unit: int = 0) -> Rows:
    return store.layer("ingest", store.current()["ingest"]).read(unit)


def errors(store: Store, unit: int = 0) -> dict[str, tuple[str, str]]:
    """Key -> (reason, detail)."""
    table = store.layer("ingest", store.current()["ingest"]).errors(unit)
    return {row["subject"]: (row["reason"], row["detail"]) for row in (table.to_pylist() if table else [])}


@pytest.fixture
def mixed(tmp_path: Path, classical: Callable[..., Store]) -> Store:
    """A store of one block on a folder of good and bad files."""
    root = tmp_path / "mixed"
    (root / "things").mkdir(parents=True)
    for name, (data, _) in {**GOOD, **BAD}.items():
        (root / "things" / name).write_bytes(data)
    (root / "things" / "turned.jpg").write_bytes(rotated())
    return classical("ingest.max_pixels=1000", spec=INGEST, source=SourceSpec(root=str(root)))


def test_good_files_become_rows(mixed: Store) -> None:
    """PNG named JPEG, CMYK, grey, 16 bit, palette and alpha are rows; the mode records what the file is."""
    ingest(mixed)
    rows = read(mixed)
    modes = {Path(key).name: mode for key, mode in zip(rows["key"], rows["mode"], strict=True)}
    assert modes == {name: mode for name, (_, mode) in GOOD.items()} | {"turned.jpg": "JPEG/RGB"}


def test_a_rotated_photograph_is_upright(mixed: Store) -> None:
    """EXIF orientation swaps height and width, and is recorded."""
    ingest(mixed)
    rows = read(mixed)
    row = [Path(key).name for key in rows["key"]].index("turned.jpg")
    assert (rows["height"][row], rows["width"][row], rows["orientation"][row]) == (30, 20, 6)


def test_bad_files_become_error_rows_and_the_block_commits(mixed: Store) -> None:
    """A truncated, empty or too large file, or no image at all: each is a row of errors with a reason and a detail."""
    ingest(mixed)
    faults = {Path(key).name: fault for key, fault in errors(mixed).items()}
    assert {name: reason for name, (reason, _) in faults.items()} == {name: reason for name, (_, reason) in BAD.items()}
    assert "found 0 bytes" in faults["empty.jpg"][1] and "found 40x40" in faults["huge.png"][1]
    assert all(detail for _, detail in faults.values())


def test_a_picture_that_takes_too_much_memory_is_an_error_row(folder: Path, classical: Callable[..., Store]) -> None:
    """Its row says what it would take and how to raise the limit; at the default the fingerprint is as it was."""
    Image.new("RGB", (1000, 1000)).save(folder / "cats" / "bomb.webp", lossless=True)
    store = classical("ingest.max_decoded_mb=8", spec=INGEST)
    ingest(store)
    reason, detail = errors(store)["cats/bomb.webp"]
    assert reason == "too_large" and "at most 8 MiB when decoded, found 1000x1000" in detail
    assert "raise ingest.max_decoded_mb" in detail and len(read(store)) == 12
    assert "max_decoded_mb" not in IngestSettings().identity()
    assert IngestSettings(max_decoded_mb=8).identity()["max_decoded_mb"] == 8


def test_a_file_that_went_away_is_an_error_row(folder: Path, classical: Callable[..., Store]) -> None:
    """An image that was listed but is gone at ingest is a row of errors with its path."""
    store = classical(spec=INGEST)
    (folder / "cats" / "01.jpg").unlink()
    ingest(store)
    reason, detail = errors(store)["cats/01.jpg"]
    assert reason == "missing_file" and str(folder / "cats" / "01.jpg") in detail
    assert len(read(store)) == 11


def test_too_many_errors_fail_the_run_but_keep_the_blocks(folder: Path, classical: Callable[..., Store]) -> None:
    """Above --max-error-rate the run fails and says how to see why; all blocks are committed nevertheless."""
    for path in sorted((folder / "cats").iterdir())[:4]:
        path.write_bytes(b"")
    store = classical()
    with pytest.raises(PdError, match=r"4 of 12 images were left out .*at most 10% may be.*node = 'ingest'"):
        ingest(store, max_error_rate=0.1)
    assert store.layer("ingest", store.current()["ingest"]).units() == [0, 1, 2, 3]


def test_size_and_checksum_are_those_of_the_file(folder: Path, classical: Callable[..., Store]) -> None:
    """``bytes`` and ``sha256`` describe the file in the folder."""
    store = classical(spec=INGEST)
    ingest(store)
    rows = read(store)
    for key, size, checksum in zip(rows["key"], rows["bytes"], rows["sha256"], strict=True):
        data = (folder / key).read_bytes()
        assert (size, checksum) == (len(data), hashlib.sha256(data).hexdigest())
    assert {len(data) for data in rows.ragged("encoded")} == {0}


def test_a_tiny_image_goes_through_the_whole_pipeline(
    tmp_path: Path, classical: Callable[..., Store], run_all: Callable[..., None]
) -> None:
    """1x1, 1x9 and uniform images end as error rows of some stage, never as a failed block."""
    root = tmp_path / "tiny"
    root.mkdir()
    for height, width in ((1, 1), (1, 9), (9, 1), (2, 2), (40, 40)):
        Image.new("RGB", (width, height), (90, 90, 90)).save(root / f"{height}x{width}.png")
    store = classical("grouping.k=4", source=SourceSpec(root=str(root)))
    run_all(store)
    project = Project.open(store)
    assert {state.word for state in states(project)} == {"done"}
    faults = [project.layer(name).errors(unit) for name in ("detic", "grouping") for unit in (0, 1)]
    subjects = {row["subject"] for table in faults if table for row in table.to_pylist()}
    assert {"1x1.png", "2x2.png"} <= subjects


def test_copied_images_need_the_folder_no_more(
    folder: Path, classical: Callable[..., Store], run_all: Callable[..., None]
) -> None:
    """With ``ingest.copy`` every later stage gives the same rows after the image files are deleted."""
    by_reference, copied = classical(), classical("ingest.copy=true")
    run_all(by_reference)
    ingest(copied)
    for path in folder.rglob("*.jpg"):
        path.unlink()
    run_all(copied)
    for name in ("detic", "grouping", "crf", "candidates", "ranking", "labels"):
        plain, packed = (s.layer(name, s.current()[name]).manifests() for s in (by_reference, copied))
        assert {u: m.content for u, m in plain.items()} == {u: m.content for u, m in packed.items()}
        assert sum(m.rows[by_reference.layer(name, by_reference.current()[name]).table.name] for m in plain.values())


def test_a_list_file_chooses_images_and_classes(folder: Path, tmp_path: Path, classical: Callable[..., Store]) -> None:
    """A list names keys, and also classes where they do not follow from the folder."""
    listed = tmp_path / "list.txt"
    listed.write_text("cats/01.jpg\ndogs/00.jpg\tpuppy\n\n")
    store = classical(spec=INGEST, source=SourceSpec(kind="list", root=str(folder), list_file=str(listed)))
    ingest(store)
    assert dict(zip(read(store)["key"], read(store)["class_name"], strict=True)) == {
        "cats/01.jpg": "cats",
        "dogs/00.jpg": "puppy",
    }
