"""`python -m gridmill` is the command `gridmill`."""

from gridmill.cli.main import app

app(prog_name="gridmill")
