"""The configuration file: read strictly, checked as a whole, frozen; errors name the place and what is allowed."""

from proxy.config.settings import Settings, load, parse, parse_with_places, schema

__all__ = ["Settings", "load", "parse", "parse_with_places", "schema"]
