"""Slurm: array jobs in which each task computes one shard, and a pipeline of such jobs."""
