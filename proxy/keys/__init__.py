"""Our keys: their states, certificates, custody, schedule and the signatures they replace."""
