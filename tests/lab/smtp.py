"""A mail server that answers recipients as its arguments say, one after the other, and from then on with the last.

It runs on the lab's machine, on its Python alone.
"""

import sys
from socketserver import StreamRequestHandler, ThreadingTCPServer


class Handler(StreamRequestHandler):
    def handle(self) -> None:
        self.say("220 hello")
        while line := self.rfile.readline():
            self.say(self.answer(line[:4].upper()))

    def answer(self, command: bytes) -> str:
        if command == b"RCPT":
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if command == b"DATA":
            self.say("354 go on")
            while self.rfile.readline() not in (b".\r\n", b""):
                pass
            return "250 2.0.0 kept"
        return "221 bye" if command == b"QUIT" else "250 ok"

    def say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())


if __name__ == "__main__":
    answers = sys.argv[1:]
    ThreadingTCPServer.allow_reuse_address = True
    ThreadingTCPServer(("", 1025), Handler).serve_forever()
