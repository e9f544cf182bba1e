"""Who may do what: workspaces, API keys, scopes, signed links.

Owns the tables `installation`, `workspaces` and `api_keys`. May import kit and storage.
"""
