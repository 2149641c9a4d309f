"""What can be looked at: every list by pages, every row by organization and id."""
