"""Bytes on disk: one LMDB store per key, one transaction per epoch, undo of the last one."""
