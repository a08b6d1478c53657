"""Demonstration data: an invented retail group with two years of sales up to yesterday, and a login for each role."""

from graphql_api.demo.load import DemoSummary, load_demo
from graphql_api.demo.logins import DemoLogin, create_demo_logins, read_demo_logins, reset_demo_logins

__all__ = ["DemoLogin", "DemoSummary", "create_demo_logins", "load_demo", "read_demo_logins", "reset_demo_logins"]
