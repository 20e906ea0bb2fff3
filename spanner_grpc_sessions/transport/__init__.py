"""Connections: where they go, how TLS protects them, how calls spread over them, how they end.

The only folder that creates channels. It never invokes an RPC.
"""
