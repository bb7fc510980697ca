"""Is this manifest served? Evidence is gathered, the decision made, and made again where things change."""
