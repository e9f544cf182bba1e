"""Data sources: uploaded files, what they hold, and the tables made of them.

Owns uploads, formats, parsing, the links that datasets have to sources as far as deleting a
source is concerned, and downloads. May import auth, engine, storage and kit.
"""
