"""How clients connect: sockets, channels and encoding. Knows no store and no rule."""
