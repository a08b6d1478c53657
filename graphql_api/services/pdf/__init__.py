"""Documents as PDF: what stands on them, and how they are set."""
