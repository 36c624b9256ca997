"""What nobody may see, and how much of the rest is kept."""
