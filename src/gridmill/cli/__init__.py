"""The command line: `gridmill serve`, `worker`, `keys`, `config`."""
