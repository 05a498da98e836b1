"""What an operator does with a value, and what `as:` makes of it first."""
