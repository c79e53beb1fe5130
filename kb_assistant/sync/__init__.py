"""Keeps collections in step with their folders, and takes in uploads."""
