"""What a receiver can take: how much at once, how fast, how soon again."""
