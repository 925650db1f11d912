"""Checkpoints of the published architectures, a few layers deep, with random weights and tokenizers made by hand."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertTokenizer,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    Sam2Config,
    Sam2Model,
    Sam3Config,
)
from transformers.models.sam3.modeling_sam3 import Sam3Model

_LETTERS = string.ascii_lowercase
_LAYER = {"hidden_size": 32, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
_CLIP = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "projection_dim": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
SAM3 = Sam3Config(
    vision_config={
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "patch_size": 14,
            "window_size": 4,
            "global_attn_indexes": [1],
            "pretrain_image_size": 56,
        },
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
    },
    text_config={"model_type": "clip_text_model", **_CLIP},
    geometry_encoder_config=_LAYER,
    detr_encoder_config=_LAYER,
    detr_decoder_config={**_LAYER, "num_queries": 8},
    mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
)
DINO = GroundingDinoConfig(
    backbone_config={
        "model_type": "swin",
        "image_size": 64,
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
        "out_indices": [2, 3, 4],
    },
    text_config={
        "model_type": "bert",
        "vocab_size": 1100,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    },
    num_queries=8,
    encoder_layers=1,
    decoder_layers=2,
    encoder_ffn_dim=32,
    decoder_ffn_dim=32,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    d_model=32,
    max_text_len=32,
)
SAM2 = Sam2Config(
    vision_config={
        "backbone_config": {
            "model_type": "sam2_hiera_det_model",
            "image_size": [64, 64],
            "hidden_size": 8,
            "embed_dim_per_stage": [8, 16, 32, 64],
            "blocks_per_stage": [1, 1, 2, 1],
            "num_attention_heads_per_stage": [1, 1, 2, 2],
            "window_size_per_stage": [8, 4, 4, 4],
            "global_attention_blocks": [3],
        },
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 32,
    },
    prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16},
    mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32},
)


def _save(folder: Path, kind: Any, config: Any) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = kind(config)
        for weight in network.parameters():
            # Larger than usual initial weights, so that another word or picture makes a visible difference.
            weight.data += 0.1 * torch.randn_like(weight)
    network.save_pretrained(folder)


def _spelling_clip() -> CLIPTokenizer:
    words = ["<|startoftext|>", "<|endoftext|>", *_LETTERS, *(f"{letter}</w>" for letter in _LETTERS)]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])


def _spelling_bert() -> BertTokenizer:
    # Grounding DINO identifies the separators of phrases by their numbers in BERT's vocabulary.
    words = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
    words |= {f"[unused{number}]": number for number in range(1100) if number not in words.values()}
    letters = [*_LETTERS, *(f"##{letter}" for letter in _LETTERS)]
    free = [word for word, number in words.items() if word.startswith("[unused") and number > 200]
    for letter, unused in zip(letters, free, strict=False):
        words[letter] = words.pop(unused)
    return BertTokenizer(vocab=words)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name of a network -> a folder with its checkpoint."""
    root = tmp_path_factory.mktemp("checkpoints")
    _save(root / "sam3", Sam3Model, SAM3)
    _spelling_clip().save_pretrained(root / "sam3")
    _save(root / "dino", GroundingDinoForObjectDetection, DINO)
    _spelling_bert().save_pretrained(root / "dino")
    _save(root / "sam2", Sam2Model, SAM2)
    _save(root / "clip", CLIPTextModelWithProjection, CLIPTextConfig(**_CLIP))
    _spelling_clip().save_pretrained(root / "clip")
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def photographs() -> list[np.ndarray]:
    """Two pictures of different shape, each with a bright patch on noise."""
    found = []
    for seed, (height, width) in enumerate([(48, 64), (70, 40)]):
        pixels = np.random.default_rng(seed).integers(0, 80, (height, width, 3))
        pixels[10:30, 8:28] += 140
        found.append(pixels.astype(np.uint8))
    return found


@pytest.fixture
def detect(bench, photographs) -> Callable[..., Any]:
    """``detect(files, **settings)``: the unit and its rows of objects, for two photographs: a cat and a dog."""
    from schemas.stages import DeticSettings
    from stages.nodes import detic

    images = bench.images(*photographs, classes=[0, 1])

    def run(files: dict[str, Path], **settings: Any) -> Any:
        given = DeticSettings(**{name: str(path) for name, path in files.items()}, **settings)
        unit = bench.unit(images=images)
        return unit, detic.start(given, bench.setup(files=files))(unit).rows

    return run
