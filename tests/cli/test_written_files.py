from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Pd

SECRET = "dont-write-this-4711"


@pytest.fixture
def umask() -> Iterator[None]:
    """Files of the owner and of the group."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_files_have_the_users_mode_and_no_secret_in_them(
    umask: None, pd: Pd, photos: Path, pipeline_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever shares a folder with a group can read every file; credentials of the environment are in none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "WANDB_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    store, out = tmp_path / "made", tmp_path / "out"
    out.mkdir()
    pd("init", store, "--images", photos, "--preset", pipeline_file)
    assert pd("--store", store, "run").code == 0
    for words in (
        ["compact"],
        ["sql", "SELECT count(*) FROM clusters"],
        ["judge", "reject", "detic", "--where", "m.object_id = 0", "--who", "me"],
        ["show", "0", "--out", out / "a.png"],
        ["report", "--out", out / "report.html"],
        ["export", "coco", out / "coco.json", "--node", "crf"],
        ["export", "parquet", out / "parquet", "--node", "crf"],
        ["export", "panoptic", out / "panoptic", "--node", "crf"],
    ):
        found = pd("--store", store, *words)
        assert found.code == 0, found.err
    made = [path for folder in (store, out) for path in folder.rglob("*")]
    modes = {str(path): oct(path.stat().st_mode & 0o777) for path in made}
    wrong = {name: mode for name, mode in modes.items() if mode != ("0o750" if Path(name).is_dir() else "0o640")}
    assert wrong == {} and len(made) > 40
    assert [path for path in made if path.is_file() and SECRET.encode() in path.read_bytes()] == []
