"""A language model on this machine: its weights, and the one llama.cpp child that serves them."""
