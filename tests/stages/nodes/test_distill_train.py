from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pdstore.errors import UsageError
from schemas.stages import DistillTrainSettings
from schemas.tables import LABELS
from stages.nodes import distill_train
from stages.unit import Output
from tests.stages.nodes.records import masked, rows_of
from tests.stages.nodes.training import NOISE, settings_of, shape_of


def label(image_id: int, cluster: int, mask: np.ndarray) -> dict[str, Any]:
    numbers = {"object_id": 0, "label_id": cluster, "category_id": 0, "cluster": cluster, "object_ratio": 0.5}
    return masked(image_id, mask, 1.0) | numbers


def train(bench: Any, clusters: int, parts_per_class: int) -> Output:
    images = bench.images(NOISE, NOISE, classes=[0, 1])
    records = [label(i, cluster, rows_of(3 * cluster, 3 * cluster + 3)) for i in (0, 1) for cluster in range(clusters)]
    unit = bench.unit(images=images, labels=bench.put("labels", LABELS, records))
    return distill_train.start(settings_of(DistillTrainSettings, parts_per_class=parts_per_class), bench.setup())(unit)


def test_the_head_has_the_parts_of_every_object_class(bench: Any) -> None:
    """One row per part of each class of the vocabulary, also for clusters that no label has."""
    assert shape_of(train(bench, 2, parts_per_class=3)) == (3, 2)


def test_more_clusters_than_parts_are_refused(bench: Any) -> None:
    """The error has both numbers and the setting that fits, before any step is taken."""
    with pytest.raises(UsageError, match="have 3 clusters per class, but parts_per_class=2. Set parts_per_class=3"):
        train(bench, 3, parts_per_class=2)
