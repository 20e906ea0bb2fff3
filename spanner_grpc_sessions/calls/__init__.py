"""One call: its headers, deadline, attempts and errors, for the client's own RPCs and for the stubs of others.

The only folder that invokes RPCs. It keeps no session and no state between calls.
"""
