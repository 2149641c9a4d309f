"""Queries as values: one typed method per SQL block, by chapter. Nothing here touches a connection."""
