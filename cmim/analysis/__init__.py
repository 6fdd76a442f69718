"""What networks cost and what their codes carry."""
