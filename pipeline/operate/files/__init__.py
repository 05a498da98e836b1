"""The files of a config as people change them: reading, saving, and who may write what."""
