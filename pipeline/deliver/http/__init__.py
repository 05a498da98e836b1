"""The wire: clients, connections, name resolution, and which addresses may be dialled."""
