"""How the output of verbs is laid out: lines and tables that fit a terminal, colours, help, usage errors."""
