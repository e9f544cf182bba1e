"""Cellar: PostgreSQL (embedded or given), migrations, transactions, files and grids. May import kit."""
