import pytest

from pdstore.errors import UsageError
from schemas.stages import WeightsSettings
from schemas.training import NETWORK_PRESETS, NetworkSettings, TrainSettings


def test_a_given_setting_wins_over_the_preset() -> None:
    """The preset fills in the rest and leaves no trace of its name: written out, the network is equal."""
    settings = NetworkSettings(preset="swin-l", num_queries=100)
    assert (settings.embedding_size, settings.num_queries, settings.preset) == (192, 100, "")
    assert settings == NetworkSettings(**{**NETWORK_PRESETS["swin-l"], "num_queries": 100})
    assert "preset" not in settings.identity()
    assert NetworkSettings.parse(settings.model_dump(mode="json"), "network") == settings


def test_swin_l_has_the_published_numbers() -> None:
    """They are those of Mask2Former Swin-L for COCO instance segmentation with 200 queries."""
    settings = NetworkSettings(preset="swin-l")
    assert (settings.depths, settings.swin_heads, settings.window) == ((2, 2, 18, 2), (6, 12, 24, 48), 12)
    assert settings.hidden_sizes == (192, 384, 768, 1536)
    assert (settings.encoder_width, settings.feedforward_dim) == (1024, 2048)
    assert (settings.encoder_layers, settings.decoder_layers, settings.num_queries) == (6, 9, 200)
    assert (settings.drop_path, settings.num_heads) == (0.3, 8)
    assert (settings.hidden_dim, settings.mask_dim, settings.pixel_dim) == (256, 256, 256)


def test_settings_of_earlier_versions_mean_what_they_meant() -> None:
    """A config.json without the newer settings still means the same small ResNet."""
    old = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "feedforward_dim": 96, "encoder_layers": 1}
    settings = NetworkSettings.parse(old, "config.json")
    assert (settings.backbone, settings.encoder_width, settings.normalize_queries) == ("resnet", 96, False)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"preset": "swin-xl"}, "network.preset: input should be '', 'tiny' or 'swin-l', found 'swin-xl'"),
        ({"backbone": "swin", "hidden_sizes": (8, 8, 16, 16)}, "hidden_sizes of a swin are"),
        ({"preset": "tiny", "swin_heads": (3, 2, 4, 8)}, "swin_heads must divide the widths"),
        ({"num_heads": 3}, "num_heads must divide pixel_dim 64, got 3"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(values: dict[str, object], fault: str) -> None:
    """An unknown preset and widths that do not fit together are refused."""
    with pytest.raises(UsageError, match=fault):
        NetworkSettings.parse(values, "network")


def test_misfits_are_the_settings_that_weights_depend_on() -> None:
    """Settings that only matter in training or to the input do not count."""
    one = NetworkSettings(preset="tiny")
    same = NetworkSettings(preset="tiny", drop_path=0.3, normalize_queries=True, input_scale=0.5)
    assert one.misfits(same) == []
    assert one.misfits(NetworkSettings(preset="tiny", num_queries=20)) == ["num_queries 10, not 20"]
    assert NetworkSettings().misfits(NetworkSettings(encoder_feedforward_dim=128, window=9)) == []


def test_a_class_specific_checkpoint_has_normalised_queries_unless_set() -> None:
    """The original's final models were all trained that way, and its proposal models were not."""
    given = {"file": "a.pth", "network": {"preset": "tiny"}}
    assert not WeightsSettings.parse(given, "w").network.normalize_queries  # type: ignore[union-attr]
    assert WeightsSettings.parse({**given, "num_parts": 8}, "w").network.normalize_queries  # type: ignore[union-attr]
    told = {**given, "num_parts": 8, "network": {"preset": "tiny", "normalize_queries": False}}
    assert not WeightsSettings.parse(told, "w").network.normalize_queries  # type: ignore[union-attr]


def test_a_single_store_to_evaluate_on_may_be_given_as_text() -> None:
    """As on the command line; how a training is watched is no part of its fingerprint."""
    watched = TrainSettings.parse(
        {"evaluate_stores": "s3://bucket/pim", "evaluate_splits": "test", "evaluate_every": 5, "max_skipped": 3}, "w"
    )
    assert watched.evaluate_stores == ("s3://bucket/pim",) and watched.evaluate_splits == ("test",)
    assert TrainSettings.parse({"evaluate_stores": ""}, "w").evaluate_stores == ()
    assert watched.identity() == TrainSettings().identity()
