import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers.models.swin.modeling_swin import SwinLayer

from schemas.training import NetworkSettings
from stages.models.network import PartNetwork, Queries, build
from stages.train.optimiser import freeze

TINY = NetworkSettings(preset="tiny")
RESNET = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)
SHAPES = {
    "swin": TINY,
    "swin, queries normalised": TINY.model_copy(update={"normalize_queries": True}),
    "swin, masks at stride 2": TINY.model_copy(update={"detail_dim": 8}),
    "swin, pixel decoder of another width": NetworkSettings(preset="tiny", pixel_dim=64),
    "resnet": RESNET,
    "resnet, one layer": RESNET.model_copy(update={"decoder_layers": 1}),
    "resnet, deformable layers": RESNET.model_copy(update={"encoder_layers": 1}),
}


def images(height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255


def loss(queries: Queries) -> Tensor:
    """A loss on all classes, and on the mask of a single query, as if only that one was matched."""
    own = queries.class_logits.square().mean() + queries.mask_logits[0, 1].square().mean()
    return own + sum((loss(earlier) for earlier in queries.earlier), torch.zeros(()))


@pytest.mark.parametrize("num_objects", [0, 3])
@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES)
def test_every_trainable_parameter_learns(settings: NetworkSettings, num_objects: int) -> None:
    """One mask is enough to give each parameter a gradient, so ranks need not search for unused parameters."""
    network = build(settings, 4, num_objects).train()
    loss(network(images(), torch.tensor([2, 0]))).backward()
    assert [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("settings", [TINY, RESNET.model_copy(update={"encoder_layers": 1})], ids=["swin", "resnet"])
def test_checkpointed_activations_change_no_result(settings: NetworkSettings) -> None:
    """Loss and gradients are those of the plain network, even with drop path; names and weights stay the same."""
    settings = settings.model_copy(update={"drop_path": 0.5})
    plain = build(settings, 4).train()
    thrifty = copy.deepcopy(plain)
    thrifty.checkpoint_activations()
    assert list(thrifty.state_dict()) == list(plain.state_dict())
    results = []
    for network in (plain, thrifty):
        torch.manual_seed(7)
        value = loss(network(images()))
        value.backward()
        results.append((value.item(), [p.grad for p in network.parameters() if p.grad is not None]))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-6)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(results[0][1], results[1][1], strict=True))


def test_checkpointed_activations_are_not_kept() -> None:
    """Only the input of a Swin block is saved for its gradient."""

    def saved(network: PartNetwork) -> int:
        sizes: list[int] = []

        def count(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            network(images())
        return sum(sizes)

    plain = build(TINY, 4).train()
    thrifty = copy.deepcopy(plain)
    thrifty.checkpoint_activations()
    assert saved(thrifty) < saved(plain) / 2


def test_a_frozen_encoder_keeps_no_activations_either() -> None:
    """Gradients go through the frozen deformable layers to the projections before them; memory and gradients tell."""
    results = []
    for is_thrifty in (False, True):
        network = build(TINY.model_copy(update={"encoder_layers": 3}), 4).train()
        freeze(network, ("pixel_level_module.encoder", "pixel_level_module.decoder.encoder"))
        if is_thrifty:
            network.checkpoint_activations()
        sizes: list[int] = []
        encoder = network.model.pixel_level_module.decoder.encoder
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: s.append(t.numel()) or t, lambda t: t):
            encoder.register_forward_pre_hook(lambda *_, s=sizes: s.clear())
            encoder.register_forward_hook(lambda *_, s=sizes: s.append(-sum(s)) or None)
            value = loss(network(images()))
        value.backward()
        kept = -min(sizes)
        results.append((kept, {n: p.grad for n, p in network.named_parameters() if p.grad is not None}))
    assert results[1][0] < results[0][0] / 5
    assert results[0][1].keys() == results[1][1].keys()
    assert all(torch.allclose(g, results[1][1][name], atol=1e-6) for name, g in results[0][1].items())


def test_a_copy_of_a_checkpointed_network_is_independent() -> None:
    """Changing the weights of the copy changes its results, and not those of the original."""
    network = build(TINY, 4).train()
    network.checkpoint_activations()
    twin = copy.deepcopy(network)
    before = network(images()).class_logits
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(1.1)
    assert torch.equal(network(images()).class_logits, before)
    assert not torch.equal(twin(images()).class_logits, before)


def test_a_compiled_network_gives_the_same_results() -> None:
    """torch.compile traces the network including the sliced head; the results are those of the plain network."""
    network = build(TINY, 4, num_objects=3).eval()
    compiled = torch.compile(network, backend="eager")
    with torch.no_grad():
        mine, theirs = network(images(), torch.tensor([2, 0])), compiled(images(), torch.tensor([2, 0]))
    assert torch.allclose(mine.mask_logits, theirs.mask_logits, atol=1e-5)
    assert torch.allclose(mine.class_logits, theirs.class_logits, atol=1e-5)


def test_normalised_queries_change_masks_and_not_features_of_the_first_prediction() -> None:
    """Only the mask embedding is scaled to unit length: features and classes of the learnt queries stay the same."""
    plain = build(TINY, 4, seed=3).eval()
    unit = build(TINY.model_copy(update={"normalize_queries": True}), 4, seed=3).eval()
    with torch.no_grad():
        one, two = plain(images()).earlier[0], unit(images()).earlier[0]
    assert torch.equal(one.class_logits, two.class_logits)
    assert not torch.allclose(one.mask_logits, two.mask_logits, atol=1e-3)
    directions = [functional.normalize(found.mask_logits.flatten(2), dim=-1) for found in (one, two)]
    assert torch.allclose(*directions, atol=1e-5)


def test_drop_path_skips_both_branches_of_a_block_in_training_only() -> None:
    """A last block that is nearly always skipped returns its input; in evaluation nothing is skipped."""
    network = build(TINY.model_copy(update={"drop_path": 0.99}), 4)
    block = [module for module in network.modules() if isinstance(module, SwinLayer)][-1]
    state = torch.rand(2, 4 * 4, 128)
    torch.manual_seed(1)
    skipped, _ = block.train()(state, (4, 4), always_partition=True)
    assert torch.equal(skipped, state)
    whole, _ = block.eval()(state, (4, 4), always_partition=True)
    assert not torch.allclose(whole, state, atol=1e-3)


def test_settings_without_weights_add_no_state() -> None:
    """Drop path and normalised queries do not change the names and shapes of the weights."""
    changed = TINY.model_copy(update={"drop_path": 0.3, "normalize_queries": True})
    shapes = [{name: v.shape for name, v in build(s, 4).state_dict().items()} for s in (TINY, changed)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 160), (224, 96)])
def test_any_multiple_of_32_goes_through_a_swin(height: int, width: int) -> None:
    """Windows cover every size, masks have stride 4, and the results do not depend on the image before."""
    network = build(TINY, 4).eval()
    with torch.no_grad():
        first = network(images())
        assert network(images(height, width)).mask_logits.shape == (2, 10, height // 4, width // 4)
        assert torch.equal(network(images()).mask_logits, first.mask_logits)
