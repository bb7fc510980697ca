"""The configuration file: parsed strictly, checked as a whole, frozen; errors name the place and the allowed values."""

from proxy.config.settings import Settings, load, parse, parse_with_places, schema

__all__ = ["Settings", "load", "parse", "parse_with_places", "schema"]
