"""Whether the passages found answer the question at all."""
