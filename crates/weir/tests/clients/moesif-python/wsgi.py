"""A WSGI application with moesifwsgi, called over HTTP: wsgi.py ADDRESS APPLICATION_ID"""

import gzip
import json
import sys
import threading
import time
from wsgiref.simple_server import WSGIRequestHandler, make_server

import requests
from moesifwsgi import MoesifMiddleware

address, application_id = sys.argv[1:]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/packed":
        body = gzip.compress(b'{"packed": true}')
        headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
    else:
        body = json.dumps({"path": path}).encode()
        headers = [("Content-Type", "application/json")]
    start_response("201 Created" if environ["REQUEST_METHOD"] == "POST" else "200 OK", headers)
    return [body]


middleware = MoesifMiddleware(
    application,
    {
        "APPLICATION_ID": application_id,
        "BASE_URI": address,
        "API_VERSION": "2.1",
        "IDENTIFY_USER": lambda app, environ, headers=None: environ.get("HTTP_X_USER"),
        "IDENTIFY_COMPANY": lambda app, environ, headers=None: "acme",
        "GET_METADATA": lambda app, environ: {"shard": 7},
        "EVENT_BATCH_TIMEOUT": 1,
    },
)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server("127.0.0.1", 0, middleware, handler_class=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"

# Configuration and rules are fetched in the background.
for _ in range(600):
    if middleware.config.have_governance_rules():
        break
    time.sleep(0.1)

seen = {}
seen["list"] = requests.get(f"{here}/items?page=2", headers={"X-User": "ann"}).status_code
seen["create"] = requests.post(
    f"{here}/items", json={"name": "lamp", "password": "s3cr3t"}, headers={"X-User": "ann"}
).status_code
seen["packed"] = requests.get(f"{here}/packed", headers={"X-User": "ann"}).status_code
closed = requests.get(f"{here}/forbidden/1", headers={"X-User": "ann"})
seen["forbidden"] = [closed.status_code, closed.headers.get("X-Why"), closed.json()]
debtor = requests.get(f"{here}/items", headers={"X-User": "debtor"})
seen["debtor"] = [debtor.status_code, debtor.headers.get("Retry-After"), debtor.json()]

middleware.update_user({"user_id": "ann", "company_id": "acme", "metadata": {"plan": "free", "name": "Ann"}})
middleware.update_users_batch(
    [{"user_id": "ann", "metadata": {"plan": "gold"}}, {"user_id": "debtor", "metadata": {"debts": [1, 2]}}]
)
middleware.update_company({"company_id": "acme", "company_domain": "acme.example", "metadata": {"size": 12}})
middleware.update_companies_batch([{"company_id": "other", "metadata": {"size": 1}}])

server.shutdown()
print("saw", json.dumps(seen), flush=True)
# What is queued is sent when the program ends.
