"""What the wire says: names, operations, manifests and faults of the OCI distribution and image specifications. Pure."""
