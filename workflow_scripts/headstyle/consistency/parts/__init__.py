"""What several metrics compute with: networks, windows, registration, filling."""
