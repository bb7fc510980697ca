"""The client of the upstream registry, on aiohttp."""
