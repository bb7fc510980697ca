"""The listeners for clients and operators, on aiohttp's server."""
