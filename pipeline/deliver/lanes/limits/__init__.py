"""What a receiver can take: how many at once, how fast, how soon again."""
