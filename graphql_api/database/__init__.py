"""Tables and connections: one module of tables per noun."""
