"""The webhooks room: endpoints, the messages that events become, and their delivery.

Owns the `webhooks`, `webhook_messages`, `webhook_deliveries` and `webhook_attempts` tables and the
queue `webhooks`. May import auth and the cellar; rooms above tell it of events by its service.
"""
