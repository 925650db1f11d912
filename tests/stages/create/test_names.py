"""What files that come with images say of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pdstore.errors import CorruptData, UsageError
from stages.create.names import ClassFiles, a_few, listed_splits

TENCH, CRANE = "n01440764", "n02012849"
CODES = [TENCH, CRANE]
NAMES = {TENCH: "tench", CRANE: "crane"}
TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_txt", ".txt").replace("_dat", ".dat").replace("_csv", ".csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def write_devkit(folder: Path, truth: str = "2\n1\n2\n") -> Path:
    """The two files of ILSVRC2012_devkit_t12 that are read: class 1 is the crane, class 2 the tench, 3 no leaf."""
    rows = [(1, CRANE, "crane, bird", 0), (2, TENCH, "tench, Tinca tinca", 0), (3, "n00001740", "entity", 2)]
    fields = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    (folder / "data").mkdir(parents=True)
    savemat(folder / "data" / "meta.mat", {"synsets": np.array(rows, fields).reshape(-1, 1)})
    (folder / "data" / TRUTH).write_text(truth)
    return folder


def labels(tmp_path: Path, text: str, codes: list[str] = CODES) -> dict[str, str]:
    return ClassFiles.find(write(tmp_path, labels_txt=text), "", codes).names(codes)[0]


@pytest.mark.parametrize(
    "text",
    [
        f"{TENCH},tench\n{CRANE},crane\n",
        f"wnid,name\n{TENCH},tench\n{CRANE},crane\n",
        f'\ufeff"{TENCH}", "tench"\r\n\r\n{CRANE} , crane\r\n',
    ],
)
def test_labels_follow_the_rules_of_csv(tmp_path: Path, text: str) -> None:
    """Quotes, a heading, a byte order mark, blank lines and spaces around commas are no part of a name."""
    assert labels(tmp_path, text) == NAMES


def test_a_name_may_have_commas_in_quotes(tmp_path: Path) -> None:
    """Quotes protect commas, and two quotes are one."""
    assert labels(tmp_path, f'{TENCH},"tench, the ""doctor"" fish"\n')[TENCH] == 'tench, the "doctor" fish'


def test_a_class_may_be_named_like_a_heading(tmp_path: Path) -> None:
    """The first line is no heading if a folder has its name."""
    assert labels(tmp_path, "label,a label\n", ["label"]) == {"label": "a label"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{TENCH},tench, Tinca tinca\n", "line 1: expected 'wnid,name', found .* into quotes"),
        (f'{TENCH},tench\n{CRANE},"crane\n', "line 2: the quotes do not close"),
        (f"{TENCH},\n", "line 1: expected 'wnid,name', found"),
        (f"{TENCH},tench\nwnid,name\n{TENCH},tench\n", "line 3: the class n01440764 has two lines"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, problem: str) -> None:
    """The error says which line of which file, and what to do."""
    with pytest.raises(UsageError, match=f"labels.txt, {problem}"):
        labels(tmp_path, text)


@pytest.mark.parametrize(
    "files",
    [
        {"LOC_synset_mapping_txt": f"{TENCH} tench, Tinca tinca\n{CRANE} crane\n"},
        {"synset_words_txt": f"{TENCH} tench, Tinca tinca\n{CRANE} crane\n"},
        {"words_txt": f"n00001740\tentity\n{CRANE}\tcrane\n{TENCH}\ttench, Tinca tinca\n"},
        {"tiny__words_txt": f"{CRANE}\tcrane\n{TENCH}\ttench\n", "tiny__wnids_txt": f"{TENCH}\n{CRANE}\n"},
        {"words_txt": f"{CRANE}\tcrane\n{TENCH}\ttench\n", "synsets_dat": f"1 {TENCH} x\n2 {CRANE} y\n"},
    ],
)
def test_published_names_are_read(tmp_path: Path, files: dict[str, str]) -> None:
    """The first word of a synset is the name of the class; the order is that of the file, or of the codes."""
    found, where = ClassFiles.find(write(tmp_path, **files), "", CODES).names(CODES)
    assert list(found.items()) == list(NAMES.items()) and where.endswith(".txt")


def test_published_names_are_for_wordnet_codes_only(tmp_path: Path) -> None:
    """A words.txt beside somebody's own classes is something else."""
    write(tmp_path, words_txt="hello\n")
    assert ClassFiles.find(tmp_path, "", ["cat"]).names(["cat"]) == ({}, "")


def test_a_wrong_line_of_a_published_file_is_named(tmp_path: Path) -> None:
    """The error names the file and the line."""
    write(tmp_path, synset_words_txt=f"{TENCH} tench\ncrane\n")
    with pytest.raises(UsageError, match=r"synset_words.txt, line 2: expected a WordNet code and its words"):
        ClassFiles.find(tmp_path, "", CODES).names(CODES)


@pytest.mark.parametrize("is_inside", [True, False])
def test_the_devkit_names_classes_and_validation_images(tmp_path: Path, is_inside: bool) -> None:
    """It is found in the image folder, or named by --labels; numbers are translated by meta.mat."""
    (tmp_path / "images").mkdir()
    kit = write_devkit(tmp_path / ("images" if is_inside else "") / "ILSVRC2012_devkit_t12")
    files = ClassFiles.find(tmp_path / "images", "" if is_inside else str(kit), CODES)
    assert list(files.names(CODES)[0].items()) == list(NAMES.items())
    assert files.truth() == {f"ILSVRC2012_val_0000000{n}": code for n, code in ((1, TENCH), (2, CRANE), (3, TENCH))}


def test_a_broken_devkit_is_refused(tmp_path: Path) -> None:
    """A number that is no class, and a meta.mat that is not MATLAB's, are errors; without it there is no truth."""
    kit = write_devkit(tmp_path / "kit", truth="2\n3\n")
    with pytest.raises(UsageError, match=rf"{TRUTH}, line 2: expected the number of a class in meta.mat, found '3'"):
        ClassFiles.find(tmp_path, "", CODES).truth()
    (kit / "data" / "meta.mat").write_bytes(b"broken")
    with pytest.raises(CorruptData, match=r"meta.mat: this is not the devkit's table of classes"):
        ClassFiles.find(tmp_path, "", CODES).truth()
    (kit / "data" / "meta.mat").unlink()
    files = ClassFiles.find(tmp_path, "", CODES)
    assert files.lacks_meta and files.truth() == {}


def test_kaggle_and_tiny_imagenet_name_validation_images(tmp_path: Path) -> None:
    """LOC_val_solution.csv and val_annotations.txt give each image its class, however many boxes it has."""
    boxes = f"ImageId,PredictionString\nv_2,{TENCH} 1 2 3 4 {TENCH} 5 6 7 8 \nv_1,{CRANE} 1 2 3 4 \n"
    write(tmp_path / "a", LOC_val_solution_csv=boxes)
    write(tmp_path / "b", val__val_annotations_txt=f"v_2.JPEG\t{TENCH}\t0\t0\t9\t9\nv_1.JPEG\t{CRANE}\t0\t0\t9\t9\n")
    for name in ("a", "b"):
        assert ClassFiles.find(tmp_path / name, "", CODES).truth() == {"v_2": TENCH, "v_1": CRANE}
    write(tmp_path / "a", LOC_val_solution_csv=f"{boxes}v_3,cat 1 2 3 4\n")
    with pytest.raises(UsageError, match=r"LOC_val_solution.csv, line 4: expected an image and boxes of one class"):
        ClassFiles.find(tmp_path / "a", "", CODES).truth()


def test_names_from_elsewhere(tmp_path: Path) -> None:
    """--labels names a file, which goes before labels.txt in the folder; one that is not there is an error."""
    write(tmp_path, labels_txt=f"{TENCH},wrong\n")
    (tmp_path / "mine.csv").write_text(f"{TENCH},mine\n")
    assert ClassFiles.find(tmp_path, str(tmp_path / "mine.csv"), CODES).names(CODES)[0] == {TENCH: "mine"}
    with pytest.raises(UsageError, match=r"none.csv: there is no such file of class names"):
        ClassFiles.find(tmp_path, str(tmp_path / "none.csv"), CODES)


def test_a_few_codes() -> None:
    """Five are shown, the others are counted."""
    assert a_few("abcde") == "['a', 'b', 'c', 'd', 'e']" and a_few("abcdefg").endswith("'e'] and 2 more")


def test_the_lists_of_voc_say_which_images_are_held_out(tmp_path: Path) -> None:
    """They lie beside JPEGImages; an image that one list holds out is held out. Other folders have no lists."""
    write(tmp_path, ImageSets__Main__train_txt="a\nb -1\n", ImageSets__Main__val_txt="c\n")
    write(tmp_path, ImageSets__Segmentation__val_txt="b\n")
    assert listed_splits(tmp_path / "JPEGImages") == {"a": "train", "b": "val", "c": "val"}
    assert listed_splits(tmp_path / "images") == {}
