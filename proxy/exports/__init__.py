"""What other verifiers are given: our keys, in the words of each tool. Pure; one file per tool."""
