"""What nobody asks for and everybody needs."""
