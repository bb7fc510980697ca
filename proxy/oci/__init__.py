"""What the wire says: the names, operations, manifests and faults of the OCI specifications. Pure."""
