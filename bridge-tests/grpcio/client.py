"""A gRPC client that does what it is told on standard input, and says what it saw on standard output.

    unary <message> <seconds or ->      one call; prints its code
    stream <message> <seconds or ->     reads a stream to its end; prints how many messages came, and its code
    start-unary <message> <seconds or ->
    start-stream <message> <seconds or ->
                                        begins one; prints "started", a stream's after its first message
    cancel                              cancels what was begun; prints its code
    close                               closes the channel under what was begun; prints its code
"""

import sys

import grpc

UNARY = "/ripcord.Test/Unary"
STREAM = "/ripcord.Test/Stream"


def say(*words):
    print(*words, flush=True)


class Driver:
    def __init__(self, target):
        self.target = target
        self.begun = None
        self.open()

    def open(self):
        self.channel = grpc.insecure_channel(self.target)
        # Messages are bytes as they are.
        self.unary = self.channel.unary_unary(UNARY)
        self.stream = self.channel.unary_stream(STREAM)

    def obey(self, verb, message="", seconds="-"):
        message = message.encode()
        timeout = None if seconds == "-" else float(seconds)
        if verb == "unary":
            try:
                answer = self.unary(message, timeout=timeout)
                say("OK", answer.decode())
            except grpc.RpcError as error:
                say(error.code().name, error.details())
        elif verb == "stream":
            call = self.stream(message, timeout=timeout)
            count = 0
            try:
                for _ in call:
                    count += 1
            except grpc.RpcError:
                pass
            say(count, call.code().name)
        elif verb == "start-unary":
            self.begun = self.unary.future(message, timeout=timeout)
            say("started")
        elif verb == "start-stream":
            self.begun = self.stream(message, timeout=timeout)
            next(self.begun)
            say("started")
        elif verb == "cancel":
            self.begun.cancel()
            say(self.end())
        elif verb == "close":
            self.channel.close()
            say(self.end())
            self.open()
        else:
            say("what?")

    def end(self):
        # Waits for the end of either kind of call.
        return self.begun.code().name


def main():
    driver = Driver(sys.argv[1])
    say("grpcio", grpc.__version__)
    for line in sys.stdin:
        driver.obey(*line.split())


main()
