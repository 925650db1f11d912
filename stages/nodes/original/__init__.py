"""Stages that read the pseudo-labels of the original system."""
