"""The benchmarks: cases as rows, one runner for all of them, and a report.

`python -m benchmarks` runs the cases and stores what it found, `python -m benchmarks.report` shows that as a page and a
table. A case compares ways of doing one thing in one process. The ways take turns in blocks, in an order that is drawn
for each round, so that a machine that speeds up or slows down does so for all: what counts are the ratios of a round.
"""
