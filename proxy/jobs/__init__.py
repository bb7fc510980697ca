"""Long work in the background, and work that runs periodically."""
