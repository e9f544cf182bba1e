"""Room: map extraction brings the places inside a boundary. May import providers and kit."""
