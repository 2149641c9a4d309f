"""What leaves the system at a customer's wish: webhooks and reports."""
