"""From google.auth credentials to the headers that authenticate a call.

One thread per token source does the I/O, ahead of need. Knows no RPC and no channel.
"""
