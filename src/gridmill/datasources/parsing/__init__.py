"""Parsing: files to rows of texts. Pure: no database, no network; runs in a child process."""
