"""A WSGI application behind the middleware of mashape-analytics: wsgi.py HOST PORT TOKEN

Serves on a free port, asks itself for two pages, and prints what came back.
"""

import http.client
import json
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from mashapeanalytics.middleware import WsgiMiddleware


def application(environ, start_response):
    if environ["PATH_INFO"] == "/moved":
        start_response("302 Found", [("Location", "/pets"), ("Content-Type", "text/plain")])
        return [b""]
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Shop", "pets")])
    return [b'[{"name":', b'"Rex"}]']


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main(host, port, token):
    application_with_middleware = WsgiMiddleware(application, token, "staging", host=host, port=int(port))
    server = make_server("127.0.0.1", 0, application_with_middleware, handler_class=Quiet)
    # Not a daemon: reports are made on threads of its own making, which would be daemons too and die with the script.
    threading.Thread(target=server.serve_forever).start()
    try:
        seen = calls(server.server_port)
    finally:
        server.shutdown()
    print("saw", json.dumps(seen))


def calls(port):
    seen = []
    for method, target, body in [("POST", "/pets?kind=dog&empty=", "hello"), ("GET", "/moved", None)]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        headers = {"X-Forwarded-For": "203.0.113.7, 10.0.0.1", "X-Client": "test", "Content-Type": "text/plain"}
        connection.request(method, target, body=body, headers=headers)
        answer = connection.getresponse()
        seen.append({"status": answer.status, "body": answer.read().decode()})
    return seen


if __name__ == "__main__":
    main(*sys.argv[1:])
