"""Child processes that run jobs: forked from a template, warm, killed at the timeout."""
