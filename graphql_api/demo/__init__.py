"""Demonstration data: an invented retail group with two years of sales up to yesterday."""

from graphql_api.demo.load import DemoSummary, load_demo

__all__ = ["DemoSummary", "load_demo"]
