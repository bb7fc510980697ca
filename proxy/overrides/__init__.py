"""What operators order beside the policies: denials, exceptions, pushes without a signature."""
