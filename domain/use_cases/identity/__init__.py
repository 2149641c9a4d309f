"""Signing up, signing in, and the links by e-mail that prove an address."""
