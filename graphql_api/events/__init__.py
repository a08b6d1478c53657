"""What has changed: written down with the change, numbered, carried to every process, kept to be read again."""
