"""Long work in the background, and work done again and again."""
