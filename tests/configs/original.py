"""The numbers of the original, each with the place where it stands.

The first release is https://github.com/facebookresearch/PartDistillation (commit of 28 August 2023), of which files and
lines are named; lines of detectron2 are those of its main branch in 2025. The authors' later fork, which trains on
ImageNet-1K, is described by its guide ``docs/TRAINING_1K.md``; of that, sections are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["NUMBERS", "Number"]


@dataclass(frozen=True)
class Number:
    """A number of the original.

    Attributes:
        setting: node and setting here, as ``ranking.k``.
        first: its value in the first release (ImageNet-21K). where: file and line.
        fork: its value in the fork (ImageNet-1K); None if the fork's is not known.
        differs: why the first release's value is not the preset's, if it is not.
    """

    setting: str
    first: Any
    where: str
    fork: Any = None
    differs: str = ""


PROPOSAL = "sh_files/proposal_learning/train_multi.sh"
DISTILL = "sh_files/part_distillation_training/train.sh"
RANKING = "sh_files/part_ranking/run.sh"
GROUPING = "sh_files/proposal_generation/run.sh"
CRF = "continuously_postprocess_dcrf.py"
BASE = "configs/mask2former/coco/instance-segmentation/Base-COCO-InstanceSegmentation.yaml"
LOSS = "configs/mask2former/coco/instance-segmentation/maskformer2_R50_bs16_50ep.yaml"
SWIN = "configs/mask2former/coco/instance-segmentation/swin/maskformer2_swin_large_IN21k_384_bs16_100ep.yaml"
CONFIG = "part_distillation/config.py"
MAPPER = "part_distillation/data/dataset_mappers/imagenet_part_ranking_dataset_mapper.py"


def _training(node: str) -> list[Number]:
    """What both trainings take from the configuration of Mask2Former and from detectron2."""
    yaml = {"proposal-train": "proposal_learning", "distill-train": "part_distillation"}[node]
    line = {"proposal-train": 15, "distill-train": 15}[node]
    size = f"configs/{yaml}/swinL_IN21K_384_mask2former.yaml:{line}"
    return [
        Number(f"{node}.{name}", value, where, fork)
        for name, value, where, fork in (
            ("weight_decay", 0.05, f"{BASE}:26", 0.05),
            ("warmup_factor", 1.0, f"{BASE}:24", 1.0),
            ("warmup_steps", 10, f"{BASE}:25", 10),
            ("backbone_lr_ratio", 0.1, f"{BASE}:28", 0.1),
            ("clip", 0.01, f"{BASE}:32", 0.01),
            ("amp", True, f"{BASE}:35", True),
            ("class_weight", 2.0, f"{LOSS}:23", 2.0),
            ("mask_weight", 5.0, f"{LOSS}:24", 5.0),
            ("dice_weight", 5.0, f"{LOSS}:25", 5.0),
            ("no_object_weight", 0.1, f"{LOSS}:22", 0.1),
            ("num_points", 12544, f"{LOSS}:36", 12544),
            ("network.num_queries", 200, f"{SWIN}:18", 200),
            ("network.drop_path", 0.3, f"{SWIN}:11", 0.3),
            ("augment.size_px", 640, size, 640),
            ("augment.scale_min", 0.1, f"{BASE}:38", 0.1),
            ("augment.scale_max", 2.0, f"{BASE}:39", 2.0),
            ("augment.crop_min_ratio", 0.9, "detectron2/config/defaults.py:76", 0.9),
            ("augment.flip_ratio", 0.5, "detectron2/data/transforms/augmentation_impl.py:87", 0.5),
        )
    ]


NO_FILTER = "-1 and 0 are both no filter: a part without a visible pixel is dropped in either case"
UNIT_QUERIES = (
    "`train.sh` leaves the default; `train_single.sh:14` and every script that starts from the distilled weights set it"
)

NUMBERS: tuple[Number, ...] = (
    Number("detic.long_side", 640, "sh_files/detic/run.sh:27", 640),
    Number("detic.max_objects", 10, "part_distillation/labeling_detic.py:78", 10),
    Number("grouping.k", 4, f"{GROUPING}:6", 4),
    Number("grouping.metric", "dot", f"{GROUPING}:10", "dot"),
    Number("grouping.maps", (1, 2), f"{GROUPING}:11", (1, 2)),
    Number("grouping.normalize", False, f"{GROUPING}:13", False),
    Number("grouping.n_init", 10, "part_distillation/proposal_generation_model.py:59", 10),
    Number("grouping.seed", 0, "part_distillation/proposal_generation_model.py:59", 0),
    Number("grouping.long_side", 640, "configs/proposal_generation/swinL_IN21K_384_mask2former.yaml:13", 640),
    Number("crf.gt_prob", 0.7, f"{CRF}:23", 0.7),
    Number("crf.gaussian_sxy", 3.0, f"{CRF}:23", 3.0),
    Number("crf.gaussian_compat", 3.0, f"{CRF}:23", 3.0),
    Number("crf.bilateral_sxy", 20.0, f"{CRF}:23", 20.0),
    Number("crf.bilateral_srgb", 13.0, f"{CRF}:23", 13.0),
    Number("crf.bilateral_compat", 10.0, f"{CRF}:23", 10.0),
    Number("crf.iterations", 10, f"{CRF}:23", 10),
    Number("crf.long_side", 640, f"{CRF}:91", 640),
    Number("proposal-train.lr", 1e-4, f"{PROPOSAL}:9", 1e-5),
    Number("proposal-train.batch_size", 512, f"{PROPOSAL}:6", 64),
    Number("proposal-train.steps", 50_000, f"{PROPOSAL}:13", 90_000),
    Number("proposal-train.milestones", (40_000, 45_000), f"{PROPOSAL}:58", (75_000, 85_000)),
    Number("proposal-train.oversample_ratio", 3.0, f"{PROPOSAL}:19", 3.0),
    Number("proposal-train.importance_ratio", 0.0, f"{PROPOSAL}:21", 0.75),
    Number("proposal-train.min_object_ratio", 0.05, f"{PROPOSAL}:10", 0.01),
    Number("proposal-train.min_part_ratio", 0.05, f"{PROPOSAL}:11", 0.05),
    Number("proposal-train.min_score", -1.0, f"{PROPOSAL}:12", 0.0),
    *_training("proposal-train"),
    Number("candidates.min_score", 0.3, f"{RANKING}:15", 0.7),
    Number("candidates.min_object_ratio", 0.05, f"{RANKING}:14", 0.0),
    Number("candidates.unique_pixels", True, f"{RANKING}:12", True),
    Number("candidates.object_mask", "parts", f"{MAPPER}:111"),
    Number("candidates.min_image_ratio", 0.001, f"{CONFIG}:220"),
    Number("ranking.k", 8, f"{RANKING}:18", 8),
    Number("ranking.metric", "l2", f"{RANKING}:19", "dot"),
    Number("ranking.normalize", True, f"{RANKING}:21", False),
    Number("ranking.n_init", 10, "part_distillation/evaluation/clustering_module.py:27", 10),
    Number("ranking.seed", 0, "part_distillation/evaluation/clustering_module.py:27", 0),
    Number("labels.min_score", 0.1, f"{RANKING}:17", 0.0),
    Number("labels.min_object_ratio", 0.05, f"{RANKING}:16", 0.0),
    Number("labels.unique_pixels", True, f"{RANKING}:13", True),
    Number("labels.use_object_mask", True, f"{RANKING}:72", True),
    Number("labels.object_mask", "parts", f"{MAPPER}:111"),
    Number("labels.min_image_ratio", 0.001, f"{CONFIG}:220"),
    Number("labels.top", 200, "configs/part_ranking/swinL_IN21K_384_mask2former.yaml:21", 200),
    Number("distill-train.lr", 1e-4, f"{DISTILL}:9", 1e-5),
    Number("distill-train.batch_size", 256, f"{DISTILL}:6", 32),
    Number("distill-train.steps", 120_000, f"{DISTILL}:13", 90_000),
    Number("distill-train.milestones", (100_000, 110_000), f"{DISTILL}:53", (75_000, 85_000)),
    Number("distill-train.oversample_ratio", 3.0, f"{DISTILL}:19", 3.0),
    Number("distill-train.importance_ratio", 0.0, f"{DISTILL}:20", 0.75),
    Number("distill-train.parts_per_class", 8, f"{DISTILL}:24", 8),
    Number("distill-train.min_object_ratio", 0.001, f"{CONFIG}:243", 0.001),
    Number("distill-train.min_part_ratio", -1.0, f"{CONFIG}:244", 0.001, NO_FILTER),
    Number("distill-train.min_score", -1.0, f"{CONFIG}:245", 0.0),
    Number("distill-train.network.normalize_queries", False, f"{CONFIG}:125", True, UNIT_QUERIES),
    *_training("distill-train"),
)
