"""Operators' and owners' decisions about users and organizations, and what follows from them."""
