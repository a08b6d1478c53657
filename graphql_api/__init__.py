"""A typed GraphQL API for sales, stock and profit."""
