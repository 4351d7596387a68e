"""What is measured rather than tested: programs that print figures."""
