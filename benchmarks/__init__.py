"""The same work side by side: this queue, raw SQL as the limit, and other queues that pip can install."""
