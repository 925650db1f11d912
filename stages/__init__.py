"""What is computed: the stages (one module each), kernels, networks, trainings, and the runner."""

import os

# Torch's threads spin while they wait for each other. The default spin is so long that two busy processes on one
# machine slow each other down by a large factor; with no spin at all, training a small network takes nearly twice as
# long. A short spin avoids both (docs/measurements.md). The variable must be set before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
