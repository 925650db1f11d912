"""``pd eval-file``: score predictions against ground truth, both from JSON files, without a store."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import print_json, print_table
from stages.kernels.protocol import PROTOCOLS

__all__ = ["command"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("eval-file")
@click.argument("predictions", type=_FILE)
@click.argument("ground_truth", type=_FILE)
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="both",
    show_default=True,
    help="reference: as published; honest: without help from the ground truth of the scored images.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: protocol -> metric -> number.")
def command(predictions: Path, ground_truth: Path, protocol: str, as_json: bool) -> None:
    """Score the predictions in a COCO-style JSON file against the ground truth in another, in percent.

    \b
    GROUND_TRUTH is an object with
      images        [{id, height, width, object_class, object_mask}]
      ground_truth  [{image_id, part_class, segmentation}]
      vote_images   [id]: the images that name the clusters (honest protocol); the others are scored
    PREDICTIONS is a list, or an object with that list under 'predictions':
      [{image_id, cluster, score, segmentation}]
    Classes, parts and clusters are numbered from 0; masks are {"size": [height, width], "counts": run lengths}.
    Predictions without 'cluster' are proposals, scored by recall: as they are, and with one label per pixel (-unique).
    A file that holds everything may be given twice.

    \b
    Examples:
      pd eval-file predictions.json truth.json
      pd eval-file all.json all.json --protocol reference --json
    """
    # Imported here, so that a wrong option is reported without waiting for them.
    from stages.evaluation.result_files import read_results
    from stages.kernels.evaluation import evaluate
    from stages.kernels.protocol import PROTOCOLS

    chosen = PROTOCOLS[protocol]
    results = read_results(predictions, ground_truth)
    for each in chosen:
        results.check(each)
    parts, clusters = results.num_parts, results.num_clusters
    numbers = {
        each.name: evaluate(results.images, each, num_parts=parts, num_clusters=clusters).metrics for each in chosen
    }
    if as_json:
        print_json(numbers)
        return
    metrics = list(next(iter(numbers.values())))
    print_table(("protocol", *metrics), [(name, *values.values()) for name, values in numbers.items()])
