"""What the networks tell: numbers, comments, and which texts are alike."""
