"""PKCS#11 tokens as the request path needs them: opened, signing, failing over."""
