"""Documents: files of every kind to pages of text with the place of each word."""
