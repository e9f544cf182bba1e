"""Cellar: what Gridmill asks of the outside: models, embeddings. May import kit, never storage or the engine."""
