"""Intervals, effects and tests over arrays of scores; knows no file and no study."""
