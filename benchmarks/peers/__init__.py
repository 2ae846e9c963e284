"""The same workloads as our own, written for each peer and run in its own virtual environment."""
