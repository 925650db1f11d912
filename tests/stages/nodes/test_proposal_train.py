from __future__ import annotations

from typing import Any

from pdstore.selection import open_selection
from schemas.stages import ProposalTrainSettings
from schemas.tables import PARTS
from stages.nodes import proposal_train
from stages.unit import Unit
from tests.stages.nodes.records import part, rows_of
from tests.stages.nodes.training import NOISE, settings_of, shape_of


def test_all_parts_are_one_class(bench: Any) -> None:
    """The parts of all nodes together are the targets, of the one class part, in the images that have any."""
    images = bench.images(NOISE, NOISE, NOISE)
    layers = [bench.put(f"parts{i}", PARTS, [part(i, 0, rows_of(0, 3)), part(i, 1, rows_of(3, 6))]) for i in (0, 2)]
    unit = bench.unit(images=images)
    unit = Unit("node", 0, unit.images, {"images": [images], "parts": layers}, training=unit.training)
    output = proposal_train.start(settings_of(ProposalTrainSettings), bench.setup())(unit)
    assert shape_of(output) == (1, 0)
    assert open_selection(bench.store, unit.training.selection).image_ids.tolist() == [0, 2]
