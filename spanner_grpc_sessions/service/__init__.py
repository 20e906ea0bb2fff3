"""The service google.spanner.v1.Spanner as data: names, RPCs, requests, limits, the shapes of REST bodies. Pure.

Nothing here waits, does I/O or loads gRPC.
"""
