"""The only place where parts are made and wired: `parts` for processes, `models` for models."""
