from __future__ import annotations

from pathlib import Path

from stages.drawn.dataset import write_dataset
from stages.drawn.presence import ANNOTATIONS, dataset_info, is_present


def test_only_the_same_complete_data_set_is_present(tmp_path: Path) -> None:
    """Another seed or number of images, a file that breaks off, and a folder that is not there are none."""
    info = dataset_info(7, 3, 2)
    assert not is_present(tmp_path / "none", info) and not is_present(tmp_path, info)
    write_dataset(tmp_path, 7, 3, 2)
    assert is_present(tmp_path, info)
    for other in ((8, 3, 2), (7, 4, 2), (7, 3, 20), (7, 3, 2, "textures")):
        assert not is_present(tmp_path, dataset_info(*other))
    content = (tmp_path / ANNOTATIONS).read_bytes()
    (tmp_path / ANNOTATIONS).write_bytes(content[:20])
    assert not is_present(tmp_path, info)
    (tmp_path / ANNOTATIONS).unlink()
    assert not is_present(tmp_path, info) and not is_present(tmp_path / "labels.txt", info)
