from __future__ import annotations

import pytest

from schemas.tracking import PicturedSettings, TrackedSettings
from stages.registry import STAGES


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_can_report(name: str) -> None:
    """Reports are settings of every stage, and of blocks and trainings also pictures; none changes the fingerprint."""
    stage = STAGES[name]
    assert issubclass(stage.settings, TrackedSettings)
    assert issubclass(stage.settings, PicturedSettings) == (stage.unit == "block" or stage.is_training)
    reports = {"wandb", "wandb_project", "tensorboard", "picture_every"}
    fields = stage.settings.model_fields
    given = {"file": "a.json"} if "file" in fields else {"folder": "tree"} if "folder" in fields else {}
    plain = stage.settings.model_validate(given)
    asked = stage.settings.model_validate({**given, "wandb": True, "tensorboard": True, "wandb_project": "x"})
    assert not reports & plain.identity().keys() and plain.identity() == asked.identity()
    assert asked.is_tracked and not plain.is_tracked


def test_settings_inside_settings_do_not_report() -> None:
    """The CRF inside ``labels`` and ``predict`` has none of them, so they cannot enter a fingerprint there."""
    fields = STAGES["labels"].settings.model_validate({"crf": {}}).identity()["crf"]
    assert "gt_prob" in fields and not {"wandb", "picture_every"} & fields.keys()
