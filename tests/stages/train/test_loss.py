import pytest
import torch
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerLoss

from schemas.training import TrainSettings
from stages.models.network import Queries
from stages.train.loss import PartLoss

MASKS = torch.zeros(2, 32, 32)
MASKS[0, :16], MASKS[1, 20:] = 1, 1
LABELS = torch.tensor([1, 0])


def predicted(order: list[int], logit: float = 20.0) -> Queries:
    """Queries that predict the two masks and their classes in the given order, and "no object" last."""
    logits = torch.full((1, 3, 3), -logit)
    for query, number in enumerate(order):
        logits[0, query, LABELS[number]] = logit
    logits[0, 2, 2] = logit
    masks = torch.full((1, 3, 32, 32), -logit)
    masks[0, :2] = (MASKS[order] * 2 - 1) * logit
    return Queries(logits, masks, torch.zeros(1, 3, 32))


# Points on the border of a mask fall between two pixels and cost a little; a wrong mask or class costs ten times more.
NEAR = 5.0


def loss(queries: Queries, **changes: float) -> float:
    judge = PartLoss(2, TrainSettings(num_points=256, **changes))
    return float(sum(judge(queries, [MASKS], [LABELS], [(0,)]).values()))


def test_right_queries_cost_nothing_in_any_order() -> None:
    """Matching finds the query of each mask."""
    assert loss(predicted([0, 1])) < NEAR
    assert loss(predicted([1, 0])) < NEAR


def test_every_layer_has_a_loss() -> None:
    """A wrong earlier layer adds its loss."""
    right, wrong = predicted([0, 1]), predicted([0, 0])
    deep = Queries(right.class_logits, right.mask_logits, right.features, (wrong,))
    assert loss(wrong) > 5 * NEAR
    assert abs(loss(deep) - loss(wrong)) < NEAR


def test_weights_scale_their_terms() -> None:
    """Without mask and dice weights a wrong mask costs nothing; without the class weight, nor does a wrong class."""
    queries = predicted([0, 1])
    bad_mask = Queries(queries.class_logits, -queries.mask_logits, queries.features)
    bad_class = Queries(queries.class_logits.roll(1, -1), queries.mask_logits, queries.features)
    assert loss(bad_mask) > 5 * NEAR > NEAR > loss(bad_mask, mask_weight=0, dice_weight=0)
    assert loss(bad_class) > 5 * NEAR > NEAR > loss(bad_class, class_weight=0)


def test_an_image_without_masks_teaches_no_object() -> None:
    """The loss is finite, and small if every query predicts "no object"."""
    nothing = torch.full((1, 3, 3), -20.0)
    nothing[..., 2] = 20.0
    queries = Queries(nothing, torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32))
    judge = PartLoss(2, TrainSettings(num_points=16))
    values = judge(queries, [torch.zeros(0, 32, 32)], [torch.zeros(0, dtype=torch.int64)], [(0,)])
    assert float(sum(values.values())) < 0.01


def drawn(images: int, layers: int = 1) -> tuple[Queries, list[torch.Tensor], list[torch.Tensor]]:
    """Random queries of ``layers`` layers, and 0 to 3 random smooth masks per image."""
    source = torch.Generator().manual_seed(3)
    outputs = [
        Queries(
            torch.randn(images, 5, 4, generator=source),
            3 * torch.randn(images, 5, 8, 8, generator=source),
            torch.zeros(images, 5, 32),
        )
        for _ in range(layers)
    ]
    masks = [(torch.rand(i % 4, 4, 4, generator=source) > 0.5).float().repeat_interleave(8, 1) for i in range(images)]
    masks = [mask.repeat_interleave(8, 2) for mask in masks]
    labels = [torch.randint(0, 3, (len(mask),), generator=source) for mask in masks]
    last = outputs[-1]
    return Queries(last.class_logits, last.mask_logits, last.features, tuple(outputs[:-1])), masks, labels


@pytest.mark.parametrize("importance", [0.0, 0.75])
def test_it_is_the_loss_of_the_published_network(importance: float) -> None:
    """Each term equals that of Mask2FormerLoss in transformers, up to the randomness of the points."""
    queries, masks, labels = drawn(4)
    settings = TrainSettings(num_points=20_000, importance_ratio=importance)
    ours = PartLoss(3, settings)(queries, masks, labels, [(i,) for i in range(4)])
    config = Mask2FormerConfig(num_labels=3, train_num_points=20_000, importance_sample_ratio=importance)
    torch.manual_seed(0)
    theirs = Mask2FormerLoss(config, {})(queries.mask_logits, queries.class_logits, masks, labels)
    assert float(ours["class"]) == pytest.approx(2 * float(theirs["loss_cross_entropy"]), rel=1e-5)
    assert float(ours["mask"]) == pytest.approx(5 * float(theirs["loss_mask"]), rel=0.02)
    assert float(ours["dice"]) == pytest.approx(5 * float(theirs["loss_dice"]), rel=0.02)


def test_a_batch_in_pieces_has_the_loss_of_the_whole() -> None:
    """Ranks and micro-batches add up, because points depend on the image and totals on the whole batch."""
    queries, masks, labels = drawn(6, layers=2)
    judge, keys = PartLoss(3, TrainSettings(num_points=64)), [(7, i) for i in range(6)]
    whole = judge(queries, masks, labels, keys)
    totals = judge.totals([len(label) for label in labels], 5)
    added = dict.fromkeys(whole, 0.0)
    for piece in (slice(0, 2), slice(2, 6)):
        part, earlier = (
            Queries(q.class_logits[piece], q.mask_logits[piece], q.features[piece]) for q in (queries, *queries.earlier)
        )
        part = Queries(part.class_logits, part.mask_logits, part.features, (earlier,))
        for name, value in judge(part, masks[piece], labels[piece], keys[piece], totals).items():
            added[name] += float(value)
    assert added == pytest.approx({name: float(value) for name, value in whole.items()}, rel=1e-5)


def test_the_largest_masks_are_used_if_there_are_more_than_queries() -> None:
    """With six masks and five queries, the smallest mask is left out."""
    queries, _, _ = drawn(1)
    masks = torch.zeros(6, 32, 32)
    for i in range(6):
        masks[i, : 4 * (i + 1)] = 1
    judge, labels = PartLoss(3, TrainSettings(num_points=64)), torch.zeros(6, dtype=torch.int64)
    all_six = judge(queries, [masks], [labels], [(0,)])
    largest = judge(queries, [masks[1:]], [labels[1:]], [(0,)])
    assert {n: float(v) for n, v in all_six.items()} == {n: float(v) for n, v in largest.items()}
