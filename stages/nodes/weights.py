"""Import published weights: official Mask2Former, the original PartDistillation, transformers, or a folder of ours.

The node writes the same two files as a training, so that every node that reads a network can read it. Its fingerprint
contains the sha256 of the source. If a tensor of the source has no counterpart in the network, the node fails and
names it. The part names that one of our models was taught are copied, too.
"""

from __future__ import annotations

from collections.abc import Callable

from pdstore import Rows
from schemas.stages import WeightsSettings
from schemas.tables import METRICS
from stages.models.checkpoints import read_checkpoint
from stages.models.network_files import network_files
from stages.stage import PART_NAMES
from stages.unit import Output, Setup, Unit

__all__ = ["start"]


def start(settings: WeightsSettings, setup: Setup) -> Callable[[Unit], Output]:
    """The checkpoint is read when the unit runs: see :func:`stages.models.checkpoints.read_checkpoint`."""

    def run(unit: Unit) -> Output:
        checkpoint = read_checkpoint(str(setup.files["file"]), settings.network, settings.num_parts)
        network = checkpoint.network()
        unit.note(f"{checkpoint.source}: {checkpoint.kind}, {len(checkpoint.tensors)} tensors, all of them used")
        counted = {
            "parameters": sum(p.numel() for p in network.parameters()),
            "classes": network.num_classes,
            "object_classes": network.num_objects,
        }
        blank = {"evaluated": unit.node, "protocol": "weights", "class_name": "", "part_name": "", "step": 0}
        rows = [{**blank, "metric": name, "value": float(value)} for name, value in counted.items()]
        names = setup.files["file"] / PART_NAMES
        taught = {PART_NAMES: names.read_bytes()} if names.is_file() else {}
        return Output(Rows.from_records(METRICS, rows), network_files(network, checkpoint.labels) | taught)

    return run
