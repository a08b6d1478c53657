"""One change told to many: ours beside a Node `graphql-ws` server and plain Strawberry."""
