"""Sessions for one caller at a time, kept alive and handed out.

`core` decides, and is pure; the runners do what it decides, one with threads, one in asyncio; the pools are the face.
"""
