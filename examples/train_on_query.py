"""Train a small Mask2Former of transformers on the masks that a query chooses, and go on where it was stopped.

    python examples/train_on_query.py my-store "SELECT * FROM labels WHERE score > 0.5" --steps 100 --checkpoint run.pt

The query gives images and masks by their ids; see docs/torch.md. Stop the script at any moment and run it again: it
continues after the last checkpoint, with the batches that would have come, whatever the number of workers. For a
network of a real size, use Mask2FormerForUniversalSegmentation.from_pretrained in place of ``small_model``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from pdstore.torch import Loader, Stream, mask2former_inputs


def small_model(num_labels: int) -> Mask2FormerForUniversalSegmentation:
    """A network of 0.2 million weights, which a CPU trains; always with the same initial weights."""
    torch.manual_seed(0)
    stages = {
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 2, 4, 8],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }
    sizes = {"hidden_dim": 32, "feature_size": 32, "mask_feature_size": 32, "num_queries": 16, "num_attention_heads": 2}
    layers = {"encoder_layers": 1, "decoder_layers": 3, "dim_feedforward": 64, "encoder_feedforward_dim": 64}
    backbone = SwinConfig(embed_dim=16, window_size=4, **stages)
    config = Mask2FormerConfig(backbone_config=backbone, num_labels=num_labels, train_num_points=512, **sizes, **layers)
    return Mask2FormerForUniversalSegmentation(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit code."""
    arguments = _parser().parse_args(argv)
    stream = Stream(
        arguments.store,
        arguments.sql,
        batch_size=arguments.batch_size,
        long_side=arguments.long_side,
        collate=mask2former_inputs,
        freeze_as=arguments.freeze_as,
    )
    loader = Loader(stream, num_workers=arguments.workers)
    model = small_model(arguments.num_labels)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    done = 0
    if arguments.checkpoint.exists():
        state = torch.load(arguments.checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        loader.load_state_dict(state["data"])
        done = state["steps"]
    print(f"{stream}, {done} steps are done")
    while done < arguments.steps:
        for batch in loader:
            # The loss draws points at random: seeded by the step, a resumed training draws the same ones.
            torch.manual_seed(done)
            loss = model(**batch).loss.sum()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            done += 1
            print(f"step {done}: loss {loss.item():.4f}")
            if done % arguments.every == 0 or done == arguments.steps:
                values = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "data": loader.state_dict()}
                save(values | {"steps": done}, arguments.checkpoint)
            if done == arguments.steps:
                break
    return 0


def save(state: dict[str, Any], path: Path) -> None:
    """Write the whole file or none."""
    temporary = path.with_name(f".{path.name}.tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("store", help="folder or URL of the store")
    parser.add_argument("sql", help="query that gives image_id, and the ids of the masks that are meant")
    parser.add_argument("--checkpoint", type=Path, default=Path("run.pt"), help="file of the state [default: run.pt]")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="steps in all [default: 100]")
    parser.add_argument("--every", type=int, default=20, metavar="N", help="steps between checkpoints [default: 20]")
    parser.add_argument("--batch-size", type=int, default=4, metavar="N", help="images per batch [default: 4]")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that load [default: 0]")
    parser.add_argument("--num-labels", type=int, default=8, metavar="N", help="labels are 0 to N - 1 [default: 8]")
    parser.add_argument("--long-side", type=int, default=256, metavar="PX", help="of a picture, at most [default: 256]")
    parser.add_argument("--freeze-as", default="", metavar="NAME", help="keep the choice in the store")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
