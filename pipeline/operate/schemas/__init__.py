"""JSON Schemas for editors: what `check` refuses for its form, the editor refuses too."""
