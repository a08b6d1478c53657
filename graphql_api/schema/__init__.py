"""What clients see: types, arguments and descriptions; no SQL, no rules."""
