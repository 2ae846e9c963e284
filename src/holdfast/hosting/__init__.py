"""Hosting: packages run in processes of their own, one for each version in use, that never open the store."""
