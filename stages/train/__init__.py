"""Training: samples, augmentation, loss, optimiser, loop, checkpoints and log."""
