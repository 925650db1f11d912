"""From settings to a transformers Mask2Former, with what the published network does and transformers does not."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import Mask2FormerConfig, Mask2FormerModel, ResNetConfig, SwinConfig
from transformers.models.mask2former import modeling_mask2former as mask2former
from transformers.models.swin import modeling_swin as swin
from transformers.utils import logging as transformers_logging

from schemas.training import NetworkSettings
from stages.models.detail import DetailedPixels

__all__ = ["body", "checkpoint_activations", "config"]

# It warns that Mask2Former was published with Swin backbones only; the demo's network has a ResNet on purpose.
transformers_logging.set_verbosity_error()

STAGES = ["stage1", "stage2", "stage3", "stage4"]


def body(settings: NetworkSettings, num_classes: int) -> Mask2FormerModel:
    """Everything but the class predictor, with new weights. Every parameter that can learn is in use."""
    model = Mask2FormerModel(config(settings, num_classes))
    if settings.detail_dim:
        model.pixel_level_module = DetailedPixels(model.config, settings.detail_dim)
    pixels = model.pixel_level_module
    if settings.normalize_queries:
        embedder = model.transformer_module.decoder.mask_predictor.mask_embedder
        embedder.register_forward_hook(_to_unit_length)
    if settings.backbone == "swin":
        # The norm of the last stage alone, which a segmenter does not read; the published files lack it too.
        pixels.encoder.swin.layernorm = nn.Identity()
        for block in (module for module in model.modules() if isinstance(module, swin.SwinLayer)):
            if isinstance(block.drop_path, swin.SwinDropPath):
                # As published: both branches of a block are skipped at times; transformers skips the attention's.
                block.mlp.register_forward_hook(partial(_skip_at_times, block.drop_path.drop_prob))
    if not settings.encoder_layers:
        # Without deformable layers nothing reads the positions, and of the maps only those that the decoder looks at.
        _as_buffers(pixels.decoder)
        if settings.decoder_layers == 1:
            for module in pixels.decoder.input_projections[1]:
                _as_buffers(module)
    return model


def config(settings: NetworkSettings, num_classes: int) -> Mask2FormerConfig:
    """The transformers configuration of a network."""
    return Mask2FormerConfig(
        backbone_config=_swin(settings) if settings.backbone == "swin" else _resnet(settings),
        feature_size=settings.pixel_dim,
        mask_feature_size=settings.mask_dim,
        hidden_dim=settings.hidden_dim,
        encoder_feedforward_dim=settings.encoder_width,
        dim_feedforward=settings.feedforward_dim,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers + 1,  # transformers builds one fewer
        num_attention_heads=settings.num_heads,
        num_queries=settings.num_queries,
        num_labels=num_classes,
        dropout=0.0,
        use_auxiliary_loss=True,
    )


def _resnet(settings: NetworkSettings) -> ResNetConfig:
    return ResNetConfig(
        embedding_size=settings.embedding_size,
        hidden_sizes=list(settings.hidden_sizes),
        depths=list(settings.depths),
        layer_type="basic",
        out_features=STAGES,
    )


def _swin(settings: NetworkSettings) -> SwinConfig:
    # Without absolute positions no weight depends on image_size: windows are laid over whatever comes.
    return SwinConfig(
        embed_dim=settings.embedding_size,
        depths=list(settings.depths),
        num_heads=list(settings.swin_heads),
        window_size=settings.window,
        drop_path_rate=settings.drop_path,
        out_features=STAGES,
    )


def _as_buffers(module: nn.Module) -> None:
    """The module's own parameters stay in its state and are learnt no more."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        delattr(module, name)
        module.register_buffer(name, parameter.detach())


def _to_unit_length(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """(B, Q, D) mask embeddings of unit length; class logits come from the features before them and keep theirs."""
    return functional.normalize(output, dim=-1)


def _skip_at_times(share: float, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Stochastic depth of a residual branch (B, …): in training a share of the samples goes without it."""
    if not module.training:
        return output
    kept = torch.rand(output.shape[0], *[1] * (output.ndim - 1), device=output.device) >= share
    return output * kept.to(output.dtype) / (1 - share)


class _SwinLayer(swin.SwinLayer):
    """A Swin block whose activations are computed again in the backward pass."""

    def forward(self, *values: Any, **keywords: Any) -> Any:
        return _recomputed(super().forward, self, values, keywords)


class _EncoderLayer(mask2former.Mask2FormerPixelDecoderEncoderLayer):
    """The same of a deformable attention layer."""

    def forward(self, *values: Any, **keywords: Any) -> Any:
        return _recomputed(super().forward, self, values, keywords)


class _DecoderLayer(mask2former.Mask2FormerMaskedAttentionDecoderLayer):
    """The same of a masked attention layer."""

    def forward(self, *values: Any, **keywords: Any) -> Any:
        return _recomputed(super().forward, self, values, keywords)


def _recomputed(forward: Any, module: nn.Module, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    if not (module.training and torch.is_grad_enabled()):
        return forward(*values, **keywords)
    return checkpoint(forward, *values, use_reentrant=False, **keywords)


_CHECKPOINTED: dict[type[nn.Module], type[nn.Module]] = {
    kind.__base__: kind for kind in (_SwinLayer, _EncoderLayer, _DecoderLayer)
}


def checkpoint_activations(model: nn.Module) -> None:
    """Layers keep their inputs alone and compute the rest again for the gradient: less memory, about a third slower.

    The layers change their class and nothing else: names, weights and results stay, and a copy of the network is as
    good as the original.
    """
    for module in model.modules():
        if type(module) in _CHECKPOINTED:
            module.__class__ = _CHECKPOINTED[type(module)]
