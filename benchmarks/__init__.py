"""Measurements beside a reference in the same run; they are no tests."""
