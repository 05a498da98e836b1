"""What is kept, from outside: read beside a job or after it, shown, and looked after."""
