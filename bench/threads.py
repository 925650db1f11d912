"""How long torch's threads should spin while they wait: a training step of a network like the demo's.

Run: ``python -m bench.threads [STEPS]``. Each setting runs in one process, in two at once, and in one process beside
a busy loop on each core. The order of the three columns is that of the questions: a machine of one's own, two
workers of one run, a machine that others use.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

SETTINGS: dict[str, dict[str, str]] = {
    "libgomp's default": {},
    "no spinning": {"OMP_WAIT_POLICY": "PASSIVE"},
    "1000 rounds": {"GOMP_SPINCOUNT": "1000"},
    "6000 rounds": {"GOMP_SPINCOUNT": "6000"},
    "20000 rounds": {"GOMP_SPINCOUNT": "20000"},
}
_NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def step_seconds(steps: int) -> float:
    """Mean seconds per step of a small segmenter's training, with batch 8 at 96 px and two threads."""
    import torch

    from schemas.training import NetworkSettings, TrainSettings
    from stages.models.network import build
    from stages.train.loss import PartLoss

    torch.set_num_threads(2)
    settings = TrainSettings(num_points=256, batch_size=8)
    network = build(NetworkSettings(detail_dim=32, mask_dim=32), 7).train()
    network.to(memory_format=torch.channels_last)
    loss = PartLoss(network.num_classes, settings)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    images = torch.randint(0, 255, (8, 3, 96, 96), dtype=torch.uint8).to(memory_format=torch.channels_last)
    masks = [(torch.rand(3, 96, 96) > 0.7).float() for _ in range(8)]
    labels, keys = [torch.arange(3)] * 8, [(image,) for image in range(8)]
    started = 0.0
    for number in range(steps + 3):
        if number == 3:
            started = time.perf_counter()
        losses = torch.stack(list(loss(network(images), masks, labels, keys).values()))
        optimiser.zero_grad()
        losses.sum().backward()
        optimiser.step()
    return (time.perf_counter() - started) / steps


def measured(environment: dict[str, str], processes: int, steps: int) -> float:
    """Seconds per step, the mean over ``processes`` that run at once."""
    base = {name: value for name, value in os.environ.items() if name not in _NAMES}
    # An empty value keeps the package from setting the variable, so that libgomp's default is measured.
    chosen = {"GOMP_SPINCOUNT": "", **environment} if "GOMP_SPINCOUNT" not in environment else environment
    command = [sys.executable, "-m", "bench.threads", "--one", str(steps)]
    running = [
        subprocess.Popen(command, env={**base, **chosen}, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    return sum(float(process.communicate()[0]) for process in running) / processes


def beside_others(environment: dict[str, str], steps: int) -> float:
    """Seconds per step of one process while a loop that never waits runs on each core."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        return measured(environment, 1, steps)
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main() -> None:
    """Print one line per setting."""
    if sys.argv[1:2] == ["--one"]:
        print(step_seconds(int(sys.argv[2])))
        return
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    print("Seconds per step:\n")
    print("| threads wait by | alone | two processes at once | beside busy loops |\n|---|---|---|---|")
    for name, environment in SETTINGS.items():
        alone, two = measured(environment, 1, steps), measured(environment, 2, steps)
        print(f"| {name} | {alone:.3f} | {two:.3f} | {beside_others(environment, steps):.3f} |", flush=True)


if __name__ == "__main__":
    main()
