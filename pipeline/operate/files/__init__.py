"""The files of a config as a person changes them: read, saved, and who may write what in them."""
