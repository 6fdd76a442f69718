"""What networks cost, what their codes carry, what their binarizers do."""
