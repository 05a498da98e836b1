"""Stores that are lost, made anew: users and links again from the source, up to where the job was."""
