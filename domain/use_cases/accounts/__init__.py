"""Accounts on the networks: connected by their owners, and given up."""
