"""What is computed: a module a stage, kernels, networks, trainings, and the runner."""

import os

# Torch's threads spin while they wait. With another busy process on the machine that costs a large factor, without one
# nothing that could be seen; it has to be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
