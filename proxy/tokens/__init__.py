"""PKCS#11 tokens for the request path: opening, signing and failover."""
