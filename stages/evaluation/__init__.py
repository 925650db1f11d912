"""What an evaluation scores: samples, counts over blocks, and files of results."""
