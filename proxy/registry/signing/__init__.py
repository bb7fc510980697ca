"""Signatures of ours: made, attached, moved with their tags, repaired, withdrawn."""
