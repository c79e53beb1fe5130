"""Answers in the documents' own sentences; needs no language model."""
