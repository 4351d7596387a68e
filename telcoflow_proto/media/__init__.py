"""The media plane: the life of one call, its commands, and its audio both ways."""
