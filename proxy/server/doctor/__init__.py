"""What `countersign doctor` looks at, each part by itself, nothing changed anywhere."""
