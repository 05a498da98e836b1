"""How a custom shape reads one value: a path or a form, a text, a time; and what that costs."""
