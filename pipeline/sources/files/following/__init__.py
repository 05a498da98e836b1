"""Files that grow and are rotated: the same file under another name, another file under the same name."""
