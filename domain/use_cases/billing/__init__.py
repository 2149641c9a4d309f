"""What organizations pay for: subscriptions as Stripe has them, and usage as Stripe is to have it."""
