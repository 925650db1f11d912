"""Settings of what comes into a store."""

from __future__ import annotations

import pytest

from pdstore.errors import UsageError
from schemas.sources import AnnotationsSettings, WeightsSettings


def test_annotations_come_from_files_or_from_a_folder() -> None:
    """JSON formats take one file or several, other formats a folder; anything else is refused."""
    one = AnnotationsSettings.parse({"file": "a.json"}, "truth")
    several = AnnotationsSettings.parse({"file": ["a.json", "b.json"], "format": "part_imagenet"}, "truth")
    folder = AnnotationsSettings.parse({"format": "pascal_part", "folder": "mat"}, "truth")
    assert one.files() == {"file": "a.json"} and folder.files() == {} and one.checkpoints() == set()
    assert several.files() == {"file.0": "a.json", "file.1": "b.json"} and several.checkpoints() == set()
    for values in ({}, {"file": ""}, {"file": "a", "folder": "b"}, {"format": "pascal_part", "file": "a"}):
        with pytest.raises(UsageError, match=r"format \w+ needs a (file|folder) and takes no"):
            AnnotationsSettings.parse(values, "truth")


def test_part_imagenet_pp_takes_both() -> None:
    """It comes as JSON files, as a folder, or as a folder with tables; it needs one of them."""
    for values in ({"file": "a.json"}, {"folder": "seg"}, {"folder": "seg", "file": ["a.csv", "b.txt"]}):
        assert AnnotationsSettings.parse({"format": "part_imagenet_pp", **values}, "truth").format == "part_imagenet_pp"
    with pytest.raises(UsageError, match="part_imagenet_pp needs a file or a folder"):
        AnnotationsSettings.parse({"format": "part_imagenet_pp"}, "truth")


def test_a_class_specific_head_has_normalised_queries() -> None:
    """The original's final models were trained that way; another value holds if it is said."""
    head = {"file": "a.pkl", "num_parts": 8}
    network = WeightsSettings.parse({**head, "network": {"preset": "swin-l"}}, "weights").network
    other = WeightsSettings.parse({**head, "network": {"preset": "swin-l", "normalize_queries": False}}, "w").network
    assert network is not None and network.normalize_queries
    assert other is not None and not other.normalize_queries
