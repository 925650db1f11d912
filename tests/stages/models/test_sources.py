from pathlib import Path

import pytest

from pdstore.errors import InputMissing
from stages.models.sources import is_hub_name, local_checkpoint


def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    """Nothing is downloaded or copied."""
    assert local_checkpoint(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("facebook/dinov2-base", True),
        ("facebook/dinov2-base@main", True),
        ("facebook/sam2.1-hiera-large@v1.0", True),
        ("org/model.pth@main", True),
        ("org/name@refs/pr/2", True),
        ("org/name@", False),
        ("org/name@../x y", False),
        ("here/there@main", False),
        ("here/there", False),
        ("here/no_such_folder", False),
        ("/weights/a", False),
        ("./weights", False),
        ("weights.pkl", False),
        ("weights/model.pkl", False),
        ("a/b/c", False),
    ],
)
def test_a_hub_name_is_distinguished_from_a_path(
    text: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``org/name`` is a hub name, unless it ends like a file name or a folder ``org`` exists here."""
    (tmp_path / "here" / "there").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert is_hub_name(text) == expected


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    """The error for a path that does not exist says what to give instead."""
    with pytest.raises(InputMissing, match=r"a folder with a checkpoint, found nothing.*or a hub name"):
        local_checkpoint(str(tmp_path / "none"))


def test_a_hub_without_a_network_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It gives the name, says that the hub is not available, and what to do instead."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        InputMissing, match=r"no-such-org/no-such-name: not available from the Hugging Face hub.*give its path"
    ):
        local_checkpoint("no-such-org/no-such-name")


COMMITS = ("a" * 40, "b" * 40)


def test_a_revision_is_what_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A branch, a tag or a commit in the hub's cache; without a revision, the main branch."""
    repository = tmp_path / "models--org--name"
    for commit, names in zip(COMMITS, (["main"], ["v1", "refs/pr/2"]), strict=True):
        (repository / "snapshots" / commit).mkdir(parents=True)
        for name in names:
            (repository / "refs" / name).parent.mkdir(parents=True, exist_ok=True)
            (repository / "refs" / name).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for text, commit in (("", 0), ("@main", 0), ("@v1", 1), ("@refs/pr/2", 1), (f"@{COMMITS[1]}", 1)):
        assert local_checkpoint(f"org/name{text}").name == COMMITS[commit]
    with pytest.raises(InputMissing, match=r"org/name@v2: not available.*Check name and revision"):
        local_checkpoint("org/name@v2")
