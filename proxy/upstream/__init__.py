"""The registry behind us, spoken to with aiohttp's client."""
