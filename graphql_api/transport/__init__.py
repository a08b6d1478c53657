"""Bytes and sockets: HTTP, files, health and limits."""
