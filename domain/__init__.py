"""A Social Media Manager back end on top of pgqueue. It imports pgqueue's public names and nothing else of it."""
