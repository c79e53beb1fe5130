"""Keeps a collection in step with folders and uploads: what has to be done, and doing it."""
