"""The ports of the request path: protocols that adapters implement and the server chooses."""
