"""The nemesis: clients record what was acknowledged while everything is killed, then it is checked."""
