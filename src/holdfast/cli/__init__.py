"""The command line: a face; whatever it does, the domains below do."""
