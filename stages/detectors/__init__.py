"""Detectors of objects: one module per backend, each with ``start(settings, setup) -> Detector``."""

from stages.detectors.protocol import ANY, Candidates, Detector, Seen, Words

__all__ = ["ANY", "Candidates", "Detector", "Seen", "Words"]
