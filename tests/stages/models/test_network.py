import pytest
import torch

from schemas.training import NetworkSettings
from stages.models.network import build, copy_body

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=5)


def images(count: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(("detail_dim", "stride"), [(0, 4), (8, 2)])
def test_queries_have_a_mask_and_one_logit_more_than_classes(detail_dim: int, stride: int) -> None:
    """Class logits are (B, Q, C + 1), masks have stride 4, or 2 with detail, and features the width of the decoder."""
    network = build(SMALL.model_copy(update={"detail_dim": detail_dim}), num_classes=3).eval()
    queries = network(images())
    assert queries.class_logits.shape == (2, 5, 4)
    assert queries.mask_logits.shape == (2, 5, 64 // stride, 64 // stride)
    assert queries.features.shape == (2, 5, 32)
    assert len(queries.earlier) == SMALL.decoder_layers


def test_features_are_the_decoder_output_after_its_norm() -> None:
    """The class predictor applied to the features gives the class logits."""
    network = build(SMALL, num_classes=3).eval()
    queries = network(images())
    assert torch.allclose(network.class_predictor(queries.features), queries.class_logits)
    assert torch.allclose(queries.features.mean(-1), torch.zeros(2, 5), atol=1e-4)


def test_feature_maps_come_finest_first_and_scale_with_the_image() -> None:
    """There are four maps with strides 4 to 32; enlarging the image by two doubles their sides."""
    network = build(SMALL, num_classes=3).eval()
    shapes = [tuple(found.shape[1:]) for found in network.feature_maps(images())]
    assert shapes == [(8, 16, 16), (8, 8, 8), (16, 4, 4), (16, 2, 2)]
    assert network.feature_maps(images(), scale=2)[0].shape[-1] == 32


def test_a_class_specific_network_needs_object_classes() -> None:
    """Leaving them out is an error that says so."""
    network = build(SMALL, num_classes=3, num_objects=2).eval()
    assert network(images(), torch.tensor([0, 1])).class_logits.shape == (2, 5, 4)
    with pytest.raises(ValueError, match="object classes"):
        network(images())


def test_copy_body_takes_everything_but_the_class_predictor() -> None:
    """Afterwards the masks are those of the other network, even if it has another number of classes."""
    teacher, student = build(SMALL, 7, seed=1).eval(), build(SMALL, 3, num_objects=2, seed=2).eval()
    copy_body(student, teacher.state_dict())
    with torch.no_grad():
        mine, theirs = student(images(), torch.tensor([0, 1])), teacher(images())
    assert torch.equal(mine.mask_logits, theirs.mask_logits)
    with pytest.raises(RuntimeError):
        copy_body(build(SMALL.model_copy(update={"num_queries": 6}), 3), teacher.state_dict())


def test_a_seed_fixes_the_initial_weights_and_leaves_the_random_state() -> None:
    """Equal seeds give equal weights, and the global generator of torch does not advance."""
    before = torch.get_rng_state()
    one, two, other = build(SMALL, 3, seed=5), build(SMALL, 3, seed=5), build(SMALL, 3, seed=6)
    assert torch.equal(before, torch.get_rng_state())
    weights = two.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.state_dict().items())
    assert not torch.equal(one.class_predictor.weight, other.class_predictor.weight)
