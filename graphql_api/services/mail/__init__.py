"""Mails: what they say, in whose language, and how they get to their reader."""
