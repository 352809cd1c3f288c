"""The two doors through which every recorded run goes: fit and score."""
