"""What a running job answers: commands over a unix socket, health and metrics over HTTP."""
