"""Uploaded files: stored, scanned, made small."""
