"""What the request path needs of the world; adapters implement these, the server chooses them."""
