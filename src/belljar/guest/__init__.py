"""The process that runs the user's code. From the code's first line on, nothing it says is trusted."""
