"""Whatever we ask of the world besides the registry: timestamp authorities, revocation lists. One client, one rule."""
