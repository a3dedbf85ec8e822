"""Verifies projects: the gRPC service behind the gateway.

Its messages are JSON, so no code is generated: `verifier.Verify/Verify` takes
`{"id": …, "token": …}` and answers `{"message": …}`.
"""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import grpc


def verify(request, context):
    if not request.get("token"):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
    return {"message": f"Verified: {request.get('id', 0)}"}


method = grpc.unary_unary_rpc_method_handler(
    verify, request_deserializer=json.loads, response_serializer=lambda answer: json.dumps(answer).encode()
)
server = grpc.server(ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("verifier.Verify", {"Verify": method})])
server.add_insecure_port("0.0.0.0:6000")
server.start()
print("listening on 6000", flush=True)
signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=5))
server.wait_for_termination()
