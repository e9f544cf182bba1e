"""Provider: synthetic rows that follow a table, and the measures of how well they do. May import kit only.

Pure computation for a worker process; the server itself imports `model` alone and never numpy.
"""
