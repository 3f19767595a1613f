"""A gRPC server and client without generated code: bytes in, bytes out. `server` prints its port, and what it is told."""

import sys
import threading
import time
from concurrent import futures

import grpc


def ok(request, context):
    return b"hello"


def told(context):
    gone = threading.Event()
    context.add_callback(gone.set)
    left = context.time_remaining()
    # Without a deadline from the client, what the proxy allows is all there is.
    print("asked with at most 60 s" if left <= 60 else "asked with %s" % left, flush=True)
    if not gone.wait(60):
        raise SystemExit("nobody said that nobody waits")
    print("told that nobody waits", flush=True)


def wait(request, context):
    told(context)
    return b"too late"


def count(request, context):
    for number in range(3):
        yield b"%d" % number


def server():
    methods = {
        "Ok": grpc.unary_unary_rpc_method_handler(ok),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    served = grpc.server(futures.ThreadPoolExecutor(8))
    served.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", methods),))
    port = served.add_insecure_port("127.0.0.1:0")
    served.start()
    print(port, flush=True)
    served.wait_for_termination()


def client(address):
    with grpc.insecure_channel(address) as channel:
        print("ok", channel.unary_unary("/test.Test/Ok")(b"", timeout=30).decode())
        wait = channel.unary_unary("/test.Test/Wait")
        began = time.monotonic()
        try:
            wait(b"", timeout=0.5)
        except grpc.RpcError as error:
            print("deadline", error.code().name)
        assert time.monotonic() - began >= 0.5, "early"
        call = wait.future(b"", timeout=50)
        time.sleep(0.5)
        call.cancel()
        print("canceled", call.code().name)
        print("stream", len(list(channel.unary_stream("/test.Test/Count")(b"", timeout=30))))


if sys.argv[1] == "server":
    server()
else:
    client(sys.argv[2])
