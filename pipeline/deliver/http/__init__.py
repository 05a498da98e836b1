"""The wire: clients, connections, names, addresses that may be dialled."""
