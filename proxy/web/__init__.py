"""The face towards clients and operators: aiohttp's server."""
