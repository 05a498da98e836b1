"""How what verbs say is laid out: lines and tables that fit a terminal, colours, help, wrong usage."""
