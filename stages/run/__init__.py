"""Running nodes: the runner, its checks and outcome, process groups, signals, progress, and the demo."""
