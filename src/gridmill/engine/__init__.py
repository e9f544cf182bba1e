"""Cellar: durable jobs on PostgreSQL, and what workers share (limits, stored answers). May import storage and kit."""
