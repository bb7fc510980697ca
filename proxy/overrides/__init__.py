"""Operator overrides of the policies: denials, exceptions, and pushes without a signature."""
