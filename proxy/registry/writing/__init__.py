"""What is written upstream: small things of ours, tags, lists of referrers."""
