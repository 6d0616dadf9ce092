"""A mail server that refuses every recipient. It runs on the lab's machine, on its Python alone."""

from socketserver import StreamRequestHandler, ThreadingTCPServer

ANSWERS = {b"QUIT": b"221 bye", b"RCPT": b"550 5.7.1 refused by policy"}


class Handler(StreamRequestHandler):
    def handle(self) -> None:
        self.say(b"220 refuse")
        for line in self.rfile:
            self.say(ANSWERS.get(line[:4].upper(), b"250 ok"))

    def say(self, answer: bytes) -> None:
        self.wfile.write(answer + b"\r\n")


if __name__ == "__main__":
    ThreadingTCPServer.allow_reuse_address = True
    ThreadingTCPServer(("", 1025), Handler).serve_forever()
