from __future__ import annotations

import pytest

from schemas.hub import HUB
from schemas.stages import DeticSettings
from stages.models.sources import is_hub_name


@pytest.mark.parametrize("backend", HUB)
def test_a_backend_has_its_published_weights_unless_others_are_set(backend: str) -> None:
    """Name and revision are settings like any other: recorded, and replaced one by one."""
    settings = DeticSettings.parse({"backend": backend}, "detic")
    assert settings.files() == dict(HUB[backend])
    assert all("@" in name and is_hub_name(name) for name in settings.files().values())
    for key in HUB[backend]:
        changed = DeticSettings.parse({"backend": backend, key: "folder"}, "detic")
        assert changed.files() == {**HUB[backend], key: "folder"}


@pytest.mark.parametrize("backend", ["detic", "tiny", "saliency"])
def test_other_backends_have_none(backend: str) -> None:
    """Detic's files are on no hub, and the others need none."""
    assert DeticSettings.parse({"backend": backend}, "detic").files() == {}
