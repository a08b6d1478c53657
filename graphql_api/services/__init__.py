"""What the business allows: no GraphQL, no HTTP."""
