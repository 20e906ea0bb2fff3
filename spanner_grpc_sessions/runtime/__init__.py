"""What the process gives: time, waiting, forks. Knows nothing of Spanner and nothing of gRPC."""
