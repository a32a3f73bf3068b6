"""What the integration tests stand on: the daemon as a process, namespaces, a stock gRPC client, the text of ss."""
