"""Our keys: their states, certificates, custody and schedules, and signing images again with new keys."""
