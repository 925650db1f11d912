import pytest
import torch
from torch import nn

from schemas.training import NetworkSettings, TrainSettings
from stages.models.network import build
from stages.train.optimiser import AveragedWeights, freeze, make_optimiser, rate, set_rate

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


def test_cosine_warms_up_and_falls_to_zero() -> None:
    """The factor rises during the warm-up, is 1 after it, and ends near 0."""
    settings = TrainSettings(steps=100, schedule="cosine", warmup_steps=10, warmup_factor=0.0)
    factors = [rate(step, settings) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[10] == 1
    assert factors[:10] == sorted(factors[:10]) and factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.001


def test_multistep_falls_tenfold_at_each_milestone() -> None:
    """The schedule of the authors: 1, then 0.1, then 0.01. Their warm-up factor of 1.0 has no effect."""
    settings = TrainSettings(steps=100, milestones=(60, 80))
    assert [rate(step, settings) for step in (0, 59, 60, 80)] == pytest.approx([1, 1, 0.1, 0.01])


@pytest.mark.parametrize("settings", [SMALL, NetworkSettings(preset="tiny")])
def test_norms_and_embeddings_do_not_decay_and_the_backbone_learns_slower(settings: NetworkSettings) -> None:
    """Every parameter is in exactly one group, with the right decay and rate; the biases of layers decay."""
    network = build(settings, 3)
    optimiser = make_optimiser(network, TrainSettings(backbone_lr_ratio=0.1))
    set_rate(optimiser, 0, TrainSettings(lr=1.0))
    groups = {id(p): (g["weight_decay"], g["lr"]) for g in optimiser.param_groups for p in g["params"]}
    learning = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert len(groups) == len(learning)
    for name, parameter in learning:
        decay, lr = groups[id(parameter)]
        assert lr == pytest.approx(0.1 if "pixel_level_module.encoder" in name else 1.0)
        module = network.get_submodule(name.rpartition(".")[0])
        is_layer = isinstance(module, nn.Linear | nn.Conv2d | nn.MultiheadAttention)
        plain = parameter.ndim == 1 and not is_layer
        plain |= any(word in name for word in ("queries_", "transformer_module.level_embed", "relative_position_bias"))
        assert decay == (0.0 if plain else 0.05), name


def test_frozen_parameters_are_left_out_and_their_batch_norms_stand_still() -> None:
    """Freezing the backbone takes it out of the optimiser, and its running statistics do not change."""
    network = build(SMALL, 3).train()
    freeze(network, ("pixel_level_module.encoder",))
    optimiser = make_optimiser(network, TrainSettings())
    held = {id(p) for g in optimiser.param_groups for p in g["params"]}
    assert held == {id(p) for n, p in network.named_parameters() if p.requires_grad}
    assert not any(p.requires_grad for n, p in network.named_parameters() if "pixel_level_module.encoder" in n)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.zeros(2, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())


def test_averaging_starts_late_and_follows_the_weights() -> None:
    """There is no average before the start; then it is the first weights, and then it follows slowly."""
    layer = nn.Linear(1, 1, bias=False)
    average = AveragedWeights(TrainSettings(steps=10, ema_decay=0.9, ema_start_ratio=0.5))
    for step, value in ((4, 5.0), (5, 1.0), (6, 2.0)):
        nn.init.constant_(layer.weight, value)
        average.update(layer, step)
        assert bool(average.values) == (step >= 5)
    assert average.values["weight"].item() == pytest.approx(1.1)
