"""Says what is wrong with the ports that `make dev` is about to take: the site's and, if there is one, Redis's."""

import os
import socket
import sys

HIGHEST = 65535


def fault(port: str, wanted: int) -> str:
    highest = HIGHEST + 1 - wanted
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= highest):
        return f"PORT is a number from 1 to {highest}, not “{port}”: make dev PORT=8001, for example."
    for number in range(int(port), int(port) + wanted):
        try:
            socket.create_server(("127.0.0.1", number)).close()
        except OSError as error:
            other = 8000 + (number + 100) % 1000
            return (
                f"Port {number} cannot be had: {os.strerror(error.errno or 0)}. "
                f"End what has it, perhaps another make dev, or take another: make dev PORT={other}"
            )
    return ""


if __name__ == "__main__":
    sys.exit(fault(sys.argv[1], wanted=len(sys.argv) - 1) or 0)
