"""Datasets: columns, rows, cells, their lock, history and export.

May import datasources, auth, engine, storage and kit. Entered by `service`.
"""
