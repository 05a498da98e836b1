"""What an operator does with a value, and how `as:` converts the value first."""
