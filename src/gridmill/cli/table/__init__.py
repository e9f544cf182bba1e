"""`gridmill run`: the main job without a server, from one file to another."""
