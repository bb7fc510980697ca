"""One request: pulls, pushes, blobs, deletions and lists, judged and signed on the way."""
