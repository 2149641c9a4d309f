"""The HTTP API: controllers that turn a request into one call of a use case. They create no jobs."""
