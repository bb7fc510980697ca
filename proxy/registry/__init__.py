"""One request: pull, push, blobs, deletion and lists, judged and signed on the way."""
