"""What a schedule's records come from: recordings, or topics of a broker."""
