"""What the end-to-end tests share: servers to start and stop, the runner, raw frames, segment files."""
