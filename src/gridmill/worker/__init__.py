"""The worker door: runs the engine's jobs until it is told to stop."""
