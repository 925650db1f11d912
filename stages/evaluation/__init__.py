"""What an evaluation scores: samples, counts over blocks, and result files."""
