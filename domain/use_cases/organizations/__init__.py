"""Organizations: who founded them, who belongs to them, and who may do what."""
