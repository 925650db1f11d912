"""Every section of docs/extending.md works as it is printed: applied to a copy of the tree and run on a small store."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pdstore import Rows, Store, masks
from tests.docs.conftest import PAGE, ROOT, Extended, apply, sections

SIDE, PATCH = 48, 24
RED, BLUE = (220, 90, 30), (30, 110, 230)


def corner(number: int) -> tuple[int, int]:
    return 8 + number, 6 + 2 * number


def patch(number: int) -> np.ndarray:
    """(SIDE, SIDE) bool: the object of picture ``number``."""
    mask = np.zeros((SIDE, SIDE), bool)
    top, left = corner(number)
    mask[top : top + PATCH, left : left + PATCH] = True
    return mask


def half(number: int) -> np.ndarray:
    """Its upper half, the red one."""
    rows = np.arange(SIDE)[:, None]
    return patch(number) & (rows < corner(number)[0] + PATCH // 2)


def draw(path: Path, number: int) -> None:
    """A patch, red above and blue below, on a dark ground."""
    pixels = np.full((SIDE, SIDE, 3), 10, np.uint8)
    pixels[patch(number)] = BLUE
    pixels[half(number)] = RED
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(4):
        draw(tmp_path / "photos" / ("cats" if number % 2 else "dogs") / f"{number}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """The data set of the section: three images, of which one has a damaged label map and one has none."""
    root = tmp_path / "birds"
    for number, split in enumerate(["train", "train", "val"]):
        draw(root / f"images/{split}/Crow/{number}.png", number)
        path = root / f"labels/{split}/Crow/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(patch(number).astype(np.uint8) * 2 - half(number)).save(path)
    draw(root / "images/train/Crow/3.png", 3)
    (root / "labels/train/Crow/1.png").write_bytes(b"no PNG")
    (root / "labels/parts.txt").write_text("wing\nlong tail\n")
    return root


def number_of(store: Store) -> dict[int, int]:
    """image_id -> number of the picture."""
    rows = rows_of(store, "ingest")
    return {int(i): int(Path(key).stem) for i, key in zip(rows["image_id"], rows["key"], strict=True)}


def rows_of(store: Store, node: str) -> Rows:
    return store.layer(node, store.current()[node]).read(0)


def stack(rows: Rows) -> np.ndarray:
    return masks.decode(rows.ragged("rle"), SIDE, SIDE)


def test_a_detector(extend: Callable[..., Extended], photos: Path) -> None:
    """The new backend's masks are rows of objects: one for each picture, just the patch."""
    sql = "SELECT image_id, category_name, score, area FROM objects ORDER BY image_id"
    made = extend("A detector", {"root": str(photos)}, sql)
    numbers = number_of(made.store)
    assert [(row["image_id"], row["score"], row["area"]) for row in made.rows] == [(i, 1.0, PATCH**2) for i in range(4)]
    assert [row["category_name"] for row in made.rows] == ["cats" if numbers[i] % 2 else "dogs" for i in range(4)]
    assert np.array_equal(stack(rows_of(made.store, "detic")), np.stack([patch(numbers[i]) for i in range(4)]))


def test_a_feature_backend(extend: Callable[..., Extended], photos: Path) -> None:
    """Grouping divides objects by the new features: the two halves of a patch are two parts."""
    sql = "SELECT image_id, count(*) AS parts FROM parts GROUP BY 1 ORDER BY 1"
    made = extend("A feature backend", {"root": str(photos)}, sql)
    assert made.rows == [{"image_id": i, "parts": 2} for i in range(4)]
    parts, numbers = rows_of(made.store, "grouping"), number_of(made.store)
    assert parts["feature"].shape[1] == 3
    for image_id, rows in parts.by("image_id").items():
        upper, lower = half(numbers[image_id]), patch(numbers[image_id]) & ~half(numbers[image_id])
        best = [
            max((mask & region).sum() / region.sum() for mask in stack(parts.take(rows))) for region in (upper, lower)
        ]
        assert min(best) > 0.8
        assert len({int((stack(parts.take(rows)) & region).sum((1, 2)).argmax()) for region in (upper, lower)}) == 2


def test_a_data_set(extend: Callable[..., Extended], birds: Path) -> None:
    """Parts are those of the label maps; an image whose map is missing or damaged is a row of errors."""
    sql = (
        "SELECT key, split, class_name, category_id, part_name, area FROM parts JOIN images USING (image_id) "
        "UNION ALL BY NAME SELECT subject AS key, reason AS split FROM errors WHERE node = 'truth-parts' ORDER BY ALL"
    )
    made = extend("A data set with ground truth", {"kind": "dataset", "root": str(birds), "dataset": "label_maps"}, sql)
    found = [tuple(row.values()) for row in made.rows]
    small = PATCH**2 // 2
    assert found == [
        ("images/train/Crow/0.png", "train", "crow", 0, "long tail", small),
        ("images/train/Crow/0.png", "train", "crow", 0, "wing", small),
        ("images/train/Crow/1.png", "damaged", None, None, None, None),
        ("images/train/Crow/3.png", "missing_file", None, None, None, None),
        ("images/val/Crow/2.png", "val", "crow", 0, "long tail", small),
        ("images/val/Crow/2.png", "val", "crow", 0, "wing", small),
    ]
    objects, numbers = rows_of(made.store, "truth-objects"), number_of(made.store)
    assert np.array_equal(stack(objects), np.stack([patch(numbers[i]) for i in objects["image_id"].tolist()]))


def test_a_stage(extend: Callable[..., Extended], photos: Path) -> None:
    """The new table is an SQL view, and its colours are the means of the pixels under the stored part masks."""
    sql = "SELECT image_id, object_id, part_id, red, green, blue FROM colours ORDER BY ALL"
    made = extend("A stage", {"root": str(photos)}, sql)
    parts, numbers = rows_of(made.store, "grouping"), number_of(made.store)
    assert len(made.rows) == len(parts) > 4
    for row, mask in zip(made.rows, stack(parts), strict=True):
        pixels = np.asarray(Image.open(next(photos.glob(f"*/{numbers[row['image_id']]}.png"))))
        assert [row["red"], row["green"], row["blue"]] == pytest.approx(pixels[mask].mean(0), rel=1e-5)


def test_an_evaluation(extend: Callable[..., Extended], photos: Path) -> None:
    """The score is the mean IoU of the stored masks with the true objects, which SQL finds in ``metrics``."""
    keys = sorted(path.relative_to(photos).as_posix() for path in photos.glob("*/*.png"))
    annotations = []
    for i, key in enumerate(keys):
        top, left = corner(int(Path(key).stem))
        corners = [left, top, left + PATCH, top, left + PATCH, top + PATCH, left, top + PATCH]
        annotations.append({"id": i, "image_id": i, "category_id": 0, "segmentation": [corners]})
    content = {
        "images": [{"id": i, "file_name": key, "height": SIDE, "width": SIDE} for i, key in enumerate(keys)],
        "categories": [{"id": 0, "name": "Thing whole", "supercategory": "Thing"}],
        "annotations": annotations,
    }
    (photos / "objects.json").write_text(json.dumps(content))
    sql = "SELECT metric, value FROM metrics WHERE evaluated = 'detic' ORDER BY metric"
    made = extend("An evaluation", {"root": str(photos)}, sql)
    detected, numbers = rows_of(made.store, "detic"), number_of(made.store)
    ious = []
    for image_id, mask in zip(detected["image_id"].tolist(), stack(detected), strict=True):
        true = patch(numbers[image_id])
        ious.append((mask & true).sum() / (mask | true).sum())
    assert len(ious) == 4 and 0 < np.mean(ious) < 1
    assert made.rows == [
        {"metric": "object IoU", "value": pytest.approx(100 * np.mean(ious))},
        {"metric": "objects", "value": 4.0},
    ]


@pytest.mark.parametrize("heading", sections())
def test_the_code_keeps_the_rules_of_the_house(heading: str, tmp_path: Path) -> None:
    """The printed code passes ruff as it stands, in the tree and with the settings of the project."""
    apply(sections()[heading], tmp_path)
    changed = [*sections()[heading].files, *sections()[heading].edits]
    for command in (["check", "--no-cache"], ["format", "--no-cache", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *changed],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_section_is_tested() -> None:
    """A section with code has a test here that names it."""
    assert set(sections()) == set(re.findall(r'extend\(\s*"([^"]+)"', Path(__file__).read_text()))


def test_the_page_names_files_that_exist() -> None:
    """Paths on the page are those of the tree, or of the examples' own new files."""
    text = re.sub(r"^```.*?^```$", "", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`((?:stages|schemas|tests|pdstore|cli|configs|docs)/[\w./-]+)`", text)
    new = {path for section in sections().values() for path in section.files}
    new |= {"tests/stages/detectors/test_bright.py", "tests/stages/nodes/test_colours.py"}
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists() and path not in new] == []
