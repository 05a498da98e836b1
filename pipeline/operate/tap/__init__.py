"""Looking at a running job from outside: its taps followed over restarts, kept as recordings and tests."""
