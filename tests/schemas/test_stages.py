from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from pdstore.errors import UsageError
from schemas import stages, training
from schemas.base import Settings
from schemas.training import AugmentSettings, NetworkSettings, TrainSettings

CLASSES = [getattr(stages, name) for name in stages.__all__] + [AugmentSettings, NetworkSettings, TrainSettings]


@pytest.mark.parametrize("settings", CLASSES, ids=lambda c: c.__name__)
def test_every_setting_says_what_it_is(settings: type[Settings]) -> None:
    """Every setting has a description, which ``pd config show`` prints."""
    assert settings.__doc__
    assert [name for name, field in settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("settings", CLASSES, ids=lambda c: c.__name__)
def test_settings_survive_json(settings: type[Settings]) -> None:
    """Settings that a store has recorded read back as equal settings."""
    required = {name: "x" for name, field in settings.model_fields.items() if field.is_required()}
    # Which of these settings is required depends on the format.
    needed = {"file": ["a.json", "b.json"]} if settings is stages.AnnotationsSettings else required
    made = settings.parse(needed, "x")
    assert settings.parse(json.loads(json.dumps(made.model_dump(mode="json"))), "x") == made
    json.dumps(made.identity(), allow_nan=False)


def test_defaults_are_the_published_ones() -> None:
    """A pipeline that sets nothing has the numbers of the published ImageNet-1K configuration."""
    assert stages.GroupingSettings().k == 4 and stages.GroupingSettings().metric == "dot"
    crf = stages.CrfSettings()
    assert (crf.gt_prob, crf.gaussian_sxy, crf.bilateral_sxy, crf.bilateral_srgb, crf.bilateral_compat) == (
        0.7,
        3,
        20,
        13,
        10,
    )
    assert (crf.gaussian_compat, crf.iterations, crf.long_side) == (3, 10, 640)
    ranking = stages.RankingSettings()
    assert (ranking.k, ranking.metric, ranking.normalize) == (8, "dot", False)
    assert stages.CandidatesSettings().min_score == 0.7
    proposals = training.ProposalTrainSettings()
    assert (proposals.steps, proposals.batch_size, proposals.lr, proposals.milestones) == (
        90_000,
        64,
        1e-5,
        (75_000, 85_000),
    )
    assert (proposals.class_weight, proposals.mask_weight, proposals.dice_weight, proposals.no_object_weight) == (
        2,
        5,
        5,
        0.1,
    )
    assert (proposals.num_points, proposals.oversample_ratio, proposals.importance_ratio) == (12_544, 3.0, 0.75)
    assert (proposals.min_object_ratio, proposals.min_part_ratio) == (0.01, 0.05)
    distill = training.DistillTrainSettings()
    assert (distill.batch_size, distill.parts_per_class, distill.min_object_ratio) == (32, 8, 0.001)


def test_scales_are_ordered() -> None:
    """A smallest scale above the largest is refused."""
    with pytest.raises(ValidationError, match="scale_min must not exceed scale_max"):
        AugmentSettings(scale_min=2.0, scale_max=1.0)


WIDTHS = ("gaussian_sxy", "bilateral_sxy", "bilateral_srgb")
TOO_SMALL = (0.0, 1e-8, 1e-5, 0.0099, -1.0)


@pytest.mark.parametrize("value", TOO_SMALL)
@pytest.mark.parametrize("width", WIDTHS)
def test_widths_that_crash_the_crf_are_refused(width: str, value: float) -> None:
    """In the stage and in the smoothing of labels and predictions; the smallest width that works is accepted."""
    with pytest.raises(UsageError, match=rf"crf\.{width}: input should be greater than or equal to 0\.01"):
        stages.CrfSettings.parse({width: value}, "crf")
    for settings in (stages.LabelsSettings, stages.PredictSettings):
        with pytest.raises(UsageError, match=rf"x\.crf\.{width}: input should be greater than or equal to 0\.01"):
            settings.parse({"crf": {width: value}}, "x")
    assert getattr(stages.CrfSettings.parse({width: 0.01}, "crf"), width) == 0.01


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (stages.CrfSettings, {"iterations": 10**10}),
        (stages.CrfSettings, {"long_side": 16_384}),
        (stages.CrfSettings, {"bilateral_compat": 1e300}),
        (stages.GroupingSettings, {"seed": 2**32}),
        (stages.GroupingSettings, {"n_init": 10**12}),
        (stages.GroupingSettings, {"input_scale": 1e9}),
        (stages.GroupingSettings, {"long_side": 10**10}),
        (stages.RankingSettings, {"seed": 2**32}),
        (stages.RankingSettings, {"k": 10**9}),
        (stages.EvalSettings, {"ar_limits": (0,)}),
        (stages.EvalSettings, {"processes": 10**9}),
        (training.ProposalTrainSettings, {"threads": 10**9}),
        (training.ProposalTrainSettings, {"loader_threads": 10**9}),
        (training.ProposalTrainSettings, {"num_points": 10**12}),
        (training.ProposalTrainSettings, {"seed": 2**64}),
        (training.ProposalTrainSettings, {"augment": {"size_px": 2**30}}),
        (training.ProposalTrainSettings, {"augment": {"scale_min": 1e-300}}),
        (training.ProposalTrainSettings, {"augment": {"crop_min_ratio": 1e-300}}),
    ],
    ids=str,
)
def test_values_that_c_code_does_not_survive_are_refused(settings: type[Settings], values: dict[str, object]) -> None:
    """A number that would end a library's C code, or fill the memory, is an error of its setting."""
    with pytest.raises(UsageError, match=rf"node\.\S*{next(iter(values))}.*input should be"):
        settings.parse(values, "node")


@pytest.mark.parametrize("settings", CLASSES, ids=lambda c: c.__name__)
def test_infinity_is_no_setting(settings: type[Settings]) -> None:
    """No setting takes inf or nan, whatever its bounds."""
    numbers = [name for name, field in settings.model_fields.items() if field.annotation is float]
    for name in numbers:
        for value in (float("inf"), float("nan"), float("-inf")):
            with pytest.raises(UsageError, match=rf"node\.{name}: input should be"):
                settings.parse({name: value}, "node")


@pytest.mark.parametrize("name", ["DeticSettings", "GroupingSettings", "ProposalsSettings", "PredictSettings"])
def test_the_precision_of_a_network_is_part_of_the_fingerprint(name: str) -> None:
    """It changes results, so another precision is another layer; what torch does not know is refused."""
    kind = getattr(stages, name)
    assert kind().precision == "float32"
    assert kind().identity() != kind(precision="bfloat16").identity()
    with pytest.raises(UsageError, match="node.precision: input should be 'float32', 'bfloat16' or 'float16'"):
        kind.parse({"precision": "float8"}, "node")
