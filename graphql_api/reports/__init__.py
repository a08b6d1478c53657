"""Sales reports: what can be asked, and the SQL that answers it."""
