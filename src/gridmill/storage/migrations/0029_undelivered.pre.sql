-- The oldest delivery that is still tried, in one step however long the log is: ids grow with time.
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (delivery_id) WHERE status = 'pending';
