"""Questions of one's own, about files of one's own; see the folder's README."""
