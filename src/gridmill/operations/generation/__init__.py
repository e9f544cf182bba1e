"""Room: generation makes rows and content that follow the data. May import providers and kit."""
