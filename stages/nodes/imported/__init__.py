"""Stages that read what other programs or people made."""
