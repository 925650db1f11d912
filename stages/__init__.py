"""What is computed: the stages (one module each), kernels, networks, trainings, and the runner."""

import os

# Torch's threads spin while they wait for each other. The default spin is so long that whatever else runs on the
# machine slows a training down several times; with no spin at all, training a small network takes nearly twice as long
# even on a quiet machine. A short spin avoids both (docs/measurements.md). What the user has set holds. The variable
# must be set before torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
