"""Benchmarks: each prints JSON lines with our figure, a bare loop's or a peer's in the same run, and the ratio."""
