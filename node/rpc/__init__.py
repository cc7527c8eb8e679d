"""JSON-RPC 2.0 over HTTP: one table of methods, and the server, client, OpenRPC document and manual made from it."""
