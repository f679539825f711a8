"""A Starlette application with moesifasgi under uvicorn, called over HTTP: asgi.py ADDRESS APPLICATION_ID"""

import json
import socket
import sys
import threading
import time

import requests
import uvicorn
from moesifasgi import MoesifMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

address, application_id = sys.argv[1:]


async def items(request):
    body = await request.body()
    return JSONResponse({"length": len(body)}, status_code=201 if body else 200)


async def identify_user(request, response):
    return request.headers.get("x-user")


settings = {
    "APPLICATION_ID": application_id,
    "BASE_URI": address,
    "IDENTIFY_USER": identify_user,
    "EVENT_BATCH_TIMEOUT": 1,
}
routes = [Route("/{rest:path}", items, methods=["GET", "POST"])]
application = Starlette(routes=routes, middleware=[Middleware(MoesifMiddleware, settings=settings)])

listener = socket.create_server(("127.0.0.1", 0))
here = "http://127.0.0.1:%d" % listener.getsockname()[1]
server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
thread.start()

# The first call builds the middleware, which then fetches configuration and rules in the background.
requests.get(f"{here}/warm")
for _ in range(600):
    if requests.get(f"{here}/forbidden/0").status_code == 451:
        break
    time.sleep(0.1)

seen = {}
seen["list"] = requests.get(f"{here}/items", headers={"X-User": "ann"}).status_code
seen["create"] = requests.post(f"{here}/items", json={"name": "lamp"}, headers={"X-User": "ann"}).status_code
closed = requests.get(f"{here}/forbidden/1", headers={"X-User": "ann"})
seen["forbidden"] = [closed.status_code, closed.headers.get("X-Why")]

print("saw", json.dumps(seen), flush=True)
# Events leave in the background, a second after the last one at most; weir says when they are there.
sys.stdin.read()
server.should_exit = True
thread.join()
