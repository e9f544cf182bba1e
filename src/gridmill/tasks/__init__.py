"""Tasks: what a user asks to be done to a dataset, planned in batches, run, watched and undone.

May import operations, datasets, datasources, auth, engine, providers, storage and kit.
Entered by `service`; its jobs by `jobs.handlers`.
"""
