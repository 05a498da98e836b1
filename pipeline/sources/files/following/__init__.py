"""Files that grow and rotate: one file under a new name, another file under the old one."""
