"""Names, operations, manifests and faults of the OCI specifications. Pure."""
