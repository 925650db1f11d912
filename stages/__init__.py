"""What is computed: a module a stage, kernels, networks, trainings, and the runner."""

import os

# Torch's threads spin while they wait for each other. By default so long that two busy processes on one machine
# slow each other by a large factor; without any spinning a training of a small network takes nearly twice as long.
# A short spin has neither fault (docs/measurements.md). It has to be said before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
