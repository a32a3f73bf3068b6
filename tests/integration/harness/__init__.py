"""The base of the integration tests: the daemon as a process, namespaces, a stock gRPC client, the text of ss."""
