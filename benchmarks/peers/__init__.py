"""One module for each queue: the same few calls, in that queue's own words and at its best documented settings."""
