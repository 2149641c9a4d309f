"""The whole product in under a minute: `python -m domain.demo`."""
