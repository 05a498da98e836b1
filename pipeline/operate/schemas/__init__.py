"""JSON Schemas for editors: what `check` refuses by form, the editor refuses."""
