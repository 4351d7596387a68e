"""The control plane: set-up, sessions and who claims them, requests, messages and call flow."""
