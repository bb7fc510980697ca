"""What we believe: policies, keys, evidence and the decision made of them. Pure."""
