"""The engine: drives workflow functions by replay, over one narrow port to the store."""
