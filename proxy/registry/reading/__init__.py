"""What upstream holds and says, read within bounds and hashed here."""
