"""Frames: how a process that runs a package speaks with its supervisor."""
