"""Computing it: the runner, its checks, its outcome, process groups, shards, signals and progress."""
