import torch

from schemas.training import NetworkSettings, TrainSettings
from stages.models.tiny import Queries, build
from stages.train.loss import PartLoss

SMALL = NetworkSettings(embedding_size=8, hidden_sizes=(8, 8, 16, 16), pixel_dim=32, hidden_dim=32, num_queries=3)
MASKS = torch.zeros(2, 32, 32)
MASKS[0, :16], MASKS[1, 20:] = 1, 1
LABELS = torch.tensor([1, 0])


def said(order: list[int], sure: float = 20.0) -> Queries:
    """Queries that say the two masks and their classes in the given order, and "no object" last."""
    logits = torch.full((1, 3, 3), -sure)
    for query, number in enumerate(order):
        logits[0, query, LABELS[number]] = sure
    logits[0, 2, 2] = sure
    masks = torch.full((1, 3, 32, 32), -sure)
    masks[0, :2] = (MASKS[order] * 2 - 1) * sure
    return Queries(logits, masks, torch.zeros(1, 3, 32))


NEAR = 5.0  # points on a mask's border fall between two pixels and cost a little; a wrong mask or class costs ten times


def loss(queries: Queries, **changes: float) -> float:
    torch.manual_seed(0)
    settings = TrainSettings(num_points=256, **changes)
    return float(PartLoss(build(SMALL, 2), settings)(queries, [MASKS], [LABELS]))


def test_right_queries_cost_nothing_in_any_order() -> None:
    """Matching finds the query of each mask."""
    assert loss(said([0, 1])) < NEAR
    assert loss(said([1, 0])) < NEAR


def test_every_layer_is_judged() -> None:
    """A wrong earlier layer adds its loss."""
    right, wrong = said([0, 1]), said([0, 0])
    deep = Queries(right.class_logits, right.mask_logits, right.features, (wrong,))
    assert loss(wrong) > 5 * NEAR
    assert abs(loss(deep) - loss(wrong)) < NEAR


def test_weights_scale_their_terms() -> None:
    """Without mask and dice weights a wrong mask costs nothing; without the class weight neither does a class."""
    queries = said([0, 1])
    bad_mask = Queries(queries.class_logits, -queries.mask_logits, queries.features)
    bad_class = Queries(queries.class_logits.roll(1, -1), queries.mask_logits, queries.features)
    assert loss(bad_mask) > 5 * NEAR > NEAR > loss(bad_mask, mask_weight=0, dice_weight=0)
    assert loss(bad_class) > 5 * NEAR > NEAR > loss(bad_class, class_weight=0)


def test_an_image_without_masks_learns_no_object() -> None:
    """The loss is finite and small where every query says so."""
    nothing = torch.full((1, 3, 3), -20.0)
    nothing[..., 2] = 20.0
    queries = Queries(nothing, torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32))
    judge = PartLoss(build(SMALL, 2), TrainSettings(num_points=16))
    value = judge(queries, [torch.zeros(0, 32, 32)], [torch.zeros(0, dtype=torch.int64)])
    assert float(value) < 0.01
