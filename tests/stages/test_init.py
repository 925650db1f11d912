"""What importing the package sets for the process: how torch's threads wait for each other."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, "1000 None"),
        ({"GOMP_SPINCOUNT": "77"}, "77 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"),
        ({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5"}, "5 PASSIVE"),
    ],
)
def test_a_short_spin_is_the_default_and_what_the_user_has_set_holds(chosen: dict[str, str], expected: str) -> None:
    """OMP_WAIT_POLICY alone also keeps ours away: libgomp lets GOMP_SPINCOUNT win over it."""
    code = "import os, stages; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | chosen
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == expected
