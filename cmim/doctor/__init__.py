"""What this machine and its packages can do with the project, and what is broken."""
