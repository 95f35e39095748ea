"""What is said about the log itself: its state now and then, remarks on entries, and erased records."""
