"""The command doctor: every step from the environment to the last permission, with its time and what is wrong with it.

`steps` has the steps as rows. A step looks at one thing with means of its own, so that its failure has one cause, and
`diagnosis` finds the words. It creates one ordinary session and deletes it, and tries a multiplexed one, which Spanner
keeps; it reads and writes no table.
"""
