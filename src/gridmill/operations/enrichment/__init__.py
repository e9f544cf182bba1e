"""Room: enrichment fills cells from the row's other values, by a model or by learners. May import providers and kit."""
