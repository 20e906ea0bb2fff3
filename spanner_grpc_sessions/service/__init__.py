"""The service google.spanner.v1.Spanner as data: names, RPCs, requests, bodies. Never waits, and holds no state."""
