"""The HTTP door: mounts the rooms' routers, and keeps what is the same for every request."""
