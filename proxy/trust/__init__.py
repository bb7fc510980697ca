"""Policies, keys, evidence, and the decision made from them. Pure."""
