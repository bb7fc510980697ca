"""Our signatures: made, attached, moved with their tags, repaired, withdrawn."""
