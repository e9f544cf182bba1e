"""Room: extraction says what a document holds, each value with its place. May import providers and kit."""
