"""Rebuilds lost stores: reads users and links from the source again, up to where the job was."""
