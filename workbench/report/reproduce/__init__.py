"""Recorded scores beside the tables of the paper."""
