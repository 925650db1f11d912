"""Builds a transformers Mask2Former from settings, and adds what only the published network does."""

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

# transformers warns that Mask2Former was published with Swin backbones only; the demo uses a ResNet on purpose.
transformers_logging.set_verbosity_error()

STAGES = ["stage1", "stage2", "stage3", "stage4"]


def body(settings: NetworkSettings, num_classes: int) -> Mask2FormerModel:
    """The network without its class predictor, with new weights. Every trainable parameter is used."""
    model = Mask2FormerModel(config(settings, num_classes))
    if settings.detail_dim:
        model.pixel_level_module = DetailedPixels(model.config, settings.detail_dim)
    pixels = model.pixel_level_module
    if settings.normalize_queries:
        embedder = model.transformer_module.decoder.mask_predictor.mask_embedder
        embedder.register_forward_hook(_to_unit_length)
    if settings.backbone == "swin":
        # This norm belongs to the last stage only. A segmenter does not use it, and the published files lack it too.
        pixels.encoder.swin.layernorm = nn.Identity()
        for block in (module for module in model.modules() if isinstance(module, swin.SwinLayer)):
            if isinstance(block.drop_path, swin.SwinDropPath):
                # As published: both branches of a block may be skipped, while transformers skips only the attention.
                block.mlp.register_forward_hook(partial(_skip_at_times, block.drop_path.drop_prob))
    if not settings.encoder_layers:
        # Without deformable layers nothing uses the positions, and only the maps that the decoder reads are used.
        _as_buffers(pixels.decoder)
        if settings.decoder_layers == 1:
            for module in pixels.decoder.input_projections[1].children():
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
    # Without absolute positions no weight depends on image_size: the windows cover an image of any size.
    return SwinConfig(
        embed_dim=settings.embedding_size,
        depths=list(settings.depths),
        num_heads=list(settings.swin_heads),
        window_size=settings.window,
        drop_path_rate=settings.drop_path,
        out_features=STAGES,
    )


def _as_buffers(module: nn.Module) -> None:
    """Turn the module's own parameters into buffers: they stay in its state, but are no longer trained."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        delattr(module, name)
        module.register_buffer(name, parameter.detach())


def _to_unit_length(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """(B, Q, D) mask embeddings scaled to unit length; the class logits use earlier features and do not change."""
    return functional.normalize(output, dim=-1)


def _skip_at_times(share: float, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Stochastic depth of a residual branch (B, …): in training, a share of the samples skips the branch."""
    if not module.training:
        return output
    kept = torch.rand(output.shape[0], *[1] * (output.ndim - 1), device=output.device) >= share
    return output * kept.to(output.dtype) / (1 - share)


class _SwinLayer(swin.SwinLayer):
    """A Swin block whose activations are recomputed in the backward pass."""

    def forward(self, *values: Any, **keywords: Any) -> Any:
        return _recomputed(super().forward, self, values, keywords)


class _EncoderLayer(mask2former.Mask2FormerPixelDecoderEncoderLayer):
    """The same for a deformable attention layer."""

    def forward(self, *values: Any, **keywords: Any) -> Any:
        return _recomputed(super().forward, self, values, keywords)


class _DecoderLayer(mask2former.Mask2FormerMaskedAttentionDecoderLayer):
    """The same for a masked attention layer."""

    def forward(self, *values: Any, **keywords: Any) -> Any:
        return _recomputed(super().forward, self, values, keywords)


def _recomputed(forward: Any, module: nn.Module, values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    # A frozen layer is in evaluation mode, yet its activations are kept if a gradient goes through it to layers before.
    needing = (*values, *keywords.values(), *module.parameters())
    if not (torch.is_grad_enabled() and any(isinstance(v, Tensor) and v.requires_grad for v in needing)):
        return forward(*values, **keywords)
    return checkpoint(forward, *values, use_reentrant=False, **keywords)


_CHECKPOINTED: dict[type[nn.Module], type[nn.Module]] = {
    swin.SwinLayer: _SwinLayer,
    mask2former.Mask2FormerPixelDecoderEncoderLayer: _EncoderLayer,
    mask2former.Mask2FormerMaskedAttentionDecoderLayer: _DecoderLayer,
}


def checkpoint_activations(model: nn.Module) -> None:
    """Make layers keep only their inputs and recompute the rest for the gradient: less memory, about a third slower.

    Only the class of the layers changes: names, weights and results stay the same, and a copy of the network works
    like the original.
    """
    for module in model.modules():
        if type(module) in _CHECKPOINTED:
            module.__class__ = _CHECKPOINTED[type(module)]
