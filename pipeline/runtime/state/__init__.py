"""The state directory: who owns it, what it resumes with, how lost stores are made anew."""
