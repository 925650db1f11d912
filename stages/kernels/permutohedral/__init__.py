"""Gaussian filters in many dimensions on a permutohedral lattice, and mean-field inference with them."""

from __future__ import annotations

from stages.kernels.permutohedral.inference import mean_field
from stages.kernels.permutohedral.lattice import Lattice

__all__ = ["Lattice", "mean_field"]
